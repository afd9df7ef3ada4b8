//! Ledgerline turns device events on Kafka into signed smart-contract transactions on a ledger,
//! exactly once, and lets anyone check offline where a value in the ledger came from.
//!
//! # Life of an event
//!
//! ```text
//! Kafka record → Event → Mapping → Payload → Transaction → Submission → Ledger → Block → Follower → Monitor
//!   input/       event   mapping/            transaction/   (signed)     ledger/           state/       monitor/
//! ```
//!
//! The modules below are declared in the order in which an event passes them. A module may import
//! modules above it and never one below. `tests/tidy.rs` enforces this, and which file may name which
//! outside crate.
//!
//! # Modules
//!
//! | module | responsibility | must never |
//! |---|---|---|
//! | [`limits`], [`diagnostic`], [`codec`], [`budget`], [`clock`], [`timing`], [`backoff`], [`exposition`], [`ahead`], [`threads`] | bounds and their reasons; diagnostics with places in files; canonical bytes, JSON and YAML; steps of one record; time; pauses between attempts; metrics as text; work on other threads | know anything of the product |
//! | [`disk`] | the file operations under the log, behind a trait, so that each can be made to fail | retry or hide an error |
//! | [`pattern`] | regular expressions, and the steps that a match takes | know where they are written |
//! | [`jsonpath`] | JSONPath (RFC 9535), bounded | see a whole event |
//! | [`expression`] | CEL, bounded and deterministic | see a whole event |
//! | [`event`] | a record's position, identity, time and body | read the network |
//! | [`call`] | the vocabulary of a contract call: function, arguments | execute anything |
//! | [`outbound`] | the one HTTP client: TLS, proxies, limits, pauses between attempts | know whom it asks |
//! | [`input`] | records from Kafka, files and people (manual calls), in order, tagged with their assignment | decide what a record means |
//! | [`fleet`] | the simulated fleet of demonstrations and benchmarks | know Kafka |
//! | [`mapping`] | event → calls, declared in YAML | do IO, ask the time |
//! | [`transaction`] | transactions, submissions, signatures | execute anything |
//! | [`contract`] | rules over old and new state, declared in YAML | do IO, ask the time |
//! | [`ledger`] | blocks, tree, checkpoints, proofs, keys; `ledger::embedded` is the block log | lose an acknowledged byte |
//! | [`follower`] | the trait of everything that follows the log: its savepoint, its retry policy | know what a follower does |
//! | [`state`] | folds over the log: world state in sled, history, alerts | be the truth |
//! | [`verify`] | offline verification, from the files alone | change the log |
//! | [`query`] | every question about log and state, with the JSON form of its answer | know who asks |
//! | [`command`] | commands that need no service; output and exit statuses of all | need Kafka, the network or TLS |
//! | [`pipeline`] | threads and queues between the stages; the driver of followers; the dead-letter topic | drop a record |
//! | [`simulation`] | seeded lives of the whole pipeline on a failing disk, checked against a model | wait, start a thread |
//! | [`monitor`] | HTTP server, access control, API, pages, metrics | write |
//! | [`demo`] | broker, devices and folder of demonstrations and benchmarks | bypass the configuration |
//! | [`config`], [`app`], [`cli`] | raw → checked configuration; wiring, the only place that names adapters; commands | hold domain rules |
//!
//! The feature `service` (on by default) holds what an auditor's `ledgerline-verify` does not need:
//! inputs, pipeline, endpoint and commands, with the libraries that only these use.
//!
//! `mapping`, `transaction`, `contract`, `ledger::block` and the folds of [`state`] are the deterministic
//! core: no clock, no randomness, no IO, no tokio.
//!
//! # Dispositions
//!
//! Every consumed record has exactly one disposition: *committed* (its transactions are entries, valid
//! or invalid with a verdict), *filtered* (no mapping matched) or *dead-lettered* (with cause, place and
//! original bytes). A manual call is a record of the stream `~calls/0`. A block holds all three beside
//! the progress of the streams they came from, in one durable append.

pub mod limits;

pub mod diagnostic;

pub mod codec;

pub mod budget;

pub mod clock;

pub mod timing;

pub mod backoff;

pub mod exposition;

pub mod ahead;

pub mod threads;

pub mod disk;

pub mod pattern;

pub mod jsonpath;

pub mod expression;

pub mod event;

pub mod call;

#[cfg(feature = "service")]
pub mod outbound;

#[cfg(feature = "service")]
pub mod input;

#[cfg(feature = "service")]
pub mod fleet;

pub mod mapping;

pub mod transaction;

pub mod contract;

pub mod ledger;

pub mod follower;

pub mod state;

pub mod verify;

pub mod query;

pub mod command;

#[cfg(feature = "service")]
pub mod pipeline;

#[cfg(feature = "service")]
pub mod simulation;

#[cfg(feature = "service")]
pub mod monitor;

#[cfg(feature = "service")]
pub mod demo;

#[cfg(feature = "service")]
pub mod config;

#[cfg(feature = "service")]
pub mod app;

#[cfg(feature = "service")]
pub mod cli;
