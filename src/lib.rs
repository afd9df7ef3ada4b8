//! Ledgerline turns device events on Kafka into signed smart-contract transactions on a ledger,
//! exactly once, and lets anyone check offline where a value in the ledger came from.
//!
//! # The way of an event
//!
//! ```text
//! Kafka record → Event → Mapping → Payload → Transaction → Submission → Ledger → Block → Projection → Monitor
//!   source/      event   mapping/            transaction/   (signed)     ledger/           state/       monitor/
//! ```
//!
//! The modules below stand in the order of that way. A module may use those above it and never one
//! below; `tests/tidy.rs` holds this, and which file may name which outside crate.
//!
//! # What each part knows
//!
//! | module | is for | must never |
//! |---|---|---|
//! | [`limits`], [`fault`], [`codec`], [`budget`], [`clock`], [`timing`], [`ahead`], [`threads`] | bounds and their reasons, places in files, canonical bytes, steps of one record, time, work on other threads, whether there are any | know anything of the product |
//! | [`disk`] | the file operations under the log | try anything again |
//! | [`pattern`] | regular expressions and what a match costs | know where they are written |
//! | [`jsonpath`] | JSONPath after RFC 9535, bounded | see a whole event |
//! | [`expression`] | CEL, bounded and deterministic | see a whole event |
//! | [`event`] | a record's position, metadata and body | read the network |
//! | [`outbound`] | the HTTP client: TLS, proxies, limits, pauses between attempts | know whom it asks |
//! | [`source`] | records from Kafka or a file, in order, tagged with their assignment | decide what a record means |
//! | [`fleet`] | a simulated fleet for demonstrations and benchmarks | know Kafka |
//! | [`call`] | the words of a contract call: function, payload | execute anything |
//! | [`mapping`] | event → payloads, declared in YAML | do IO, ask the time |
//! | [`transaction`] | transactions, submissions, signatures | execute anything |
//! | [`contract`] | rules over old and new state, declared in YAML | do IO, ask the time |
//! | [`ledger`] | blocks, tree, checkpoint, the embedded block log | lose an acknowledged byte |
//! | [`state`] | folds over the log: world state in sled, history, alerts | be the truth |
//! | [`verify`] | is a ledger what it says, from its files alone | change the log |
//! | [`query`] | every question about log and state, with the JSON form of its answer | know who asks |
//! | [`pipeline`] | threads and queues between the stages | drop a record |
//! | [`simulation`] | lives of the program under a seed, on a disk that fails, against a model | wait, start a thread |
//! | [`monitor`] | endpoint and its doors, metrics, pages | write |
//! | [`demo`] | the broker, devices and folder of demonstrations and measurements | do anything but through the configuration |
//! | [`config`], [`app`], [`cli`] | raw → checked configuration, wiring, commands | hold rules of the domain |
//!
//! `mapping`, `transaction`, `contract`, `ledger::block` and the projections are the deterministic
//! core: no clock, no randomness, no IO, no tokio.
//!
//! # Dispositions
//!
//! Every record that was consumed ends in exactly one of: *committed* (its transactions are entries,
//! valid or invalid with a verdict), *filtered* (no mapping matched), *dead-lettered* (with cause, place
//! and original bytes). A call by hand counts as a record of a partition of its own, `~calls/0`. A block carries all three next to the source progress they belong to, in one
//! durable append.

pub mod limits;

pub mod fault;

pub mod codec;

pub mod budget;

pub mod clock;

pub mod timing;

pub mod ahead;

pub mod threads;

pub mod disk;

pub mod pattern;

pub mod jsonpath;

pub mod expression;

pub mod event;

pub mod outbound;

pub mod source;

pub mod fleet;

pub mod call;

pub mod mapping;

pub mod transaction;

pub mod contract;

pub mod ledger;

pub mod state;

pub mod verify;

pub mod query;

pub mod pipeline;

pub mod simulation;

pub mod monitor;

pub mod demo;

pub mod config;

pub mod app;

pub mod cli;
