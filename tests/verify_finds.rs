//! `verify` believes nothing: whatever was changed in a ledger, by whomever and however well, it
//! names the block; and an honest ledger always verifies.
//!
//! Every forged log here has whole frames with fitting checksums, so only `verify` can tell.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/ledger.rs"]
mod ledger;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ledger::*;
use ledgerline::app::offline::look;
use ledgerline::call::Arguments;
use ledgerline::codec::{Digest, Writer};
use ledgerline::contract::{InvalidCode, Verdict};
use ledgerline::event::{Cause, DeviceName, SourcePartition, SourcePosition};
use ledgerline::ledger::block::{self, Block, Seal};
use ledgerline::ledger::checkpoint::Checkpoint;
use ledgerline::ledger::embedded::{LedgerKeys, frame, open};
use ledgerline::ledger::keys::{LEDGER_ROLE, SUBMITTER_ROLE, definition};
use ledgerline::ledger::tree::Frontier;
use ledgerline::ledger::{
    BlockFormat, Definition, DefinitionKind, Entry, Filtered, LastRecord, LedgerWriter, Progress,
    Records, StoredWrite, SubmissionSeal, leaf_bytes,
};
use ledgerline::query::{At, json};
use ledgerline::state::{AssetRef, Filter, STATE_DIRECTORY};
use ledgerline::transaction::{Signer, Submission, Transaction, call_digest, leaf_hash};
use ledgerline::verify::{Before, Report, Request, one_block, verify};

const WORKS: u64 = 8;
const CONTRACT_NAME: &str = "cold_chain";
/// Number of the block that is forged: one with records, with others in front and behind.
const TARGET: usize = 5;

fn made() -> tempfile::TempDir {
    let folder = folder();
    make(folder.path(), WORKS, "");
    folder
}

/// Whoever holds no key of this ledger.
fn stranger() -> Signer {
    signer(9)
}

/// Abilities of a forger after changing a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forger {
    /// Writes files, and no more.
    Keyless,
    /// Holds the ledger's key: makes every header, seal and checkpoint fit again.
    Sealing,
    /// Holds the submitter's key as well.
    Signing,
}

/// Makes all headers follow from what the blocks hold, seals and signs them.
fn reseal(blocks: &mut [Block], signer: &Signer) {
    let (mut frontier, mut previous, mut effects) =
        (Frontier::new(), Digest::default(), Digest::default());
    let mut entries = 0;
    for (number, block) in (0..).zip(blocks) {
        let header = &mut block.header;
        (header.number, header.previous) = (number, previous);
        (header.first_entry, header.first_leaf) = (entries, frontier.size());
        entries += block.entries.len() as u64;
        let mut of_block = Writer::new();
        for entry in &block.entries {
            let mut writer = Writer::new();
            let at = entry.encode(&mut writer);
            of_block.raw(writer.since(at));
            frontier.append(leaf_hash(&leaf_bytes(&writer.into_bytes())));
        }
        effects = block::chain_effects(&effects, &Digest::of(&of_block.into_bytes()));
        header.effects = effects;
        (header.entries_end, header.entries_root) = (entries, frontier.root());
        header.records = block::records_digest(&block.records, header.format);
        previous = header.hash();
        block.seal = Seal::sign(NAME, signer, &previous);
        block.own_leaf().iter().for_each(|leaf| frontier.append(leaf_hash(leaf)));
        block.checkpoint = signed(NAME, frontier.size(), frontier.root(), signer);
    }
}

fn signed(origin: &str, size: u64, root: Digest, signer: &Signer) -> Box<str> {
    let checkpoint = Checkpoint { origin: origin.to_owned(), size, root };
    checkpoint.sign(&[signer]).unwrap().into()
}

fn transactions(block: &Block) -> Vec<Transaction> {
    block.entries.iter().filter_map(|entry| Some((**entry.transaction()?).clone())).collect()
}

/// Signs the block's transactions as one submission.
fn resubmit(block: &mut Block, ledger: &str, signer: &Signer) {
    let transactions = transactions(block);
    let count = transactions.len() as u64;
    if count > 0 {
        let signed = Submission::sign(ledger, signer, transactions);
        let (signer, root, signature) = (signed.signer(), signed.root(), signed.signature());
        block.records.submissions = vec![SubmissionSeal { signer, root, signature, count }];
    }
}

fn finish(blocks: &mut [Block], forger: Forger) {
    if forger == Forger::Signing {
        blocks.iter_mut().for_each(|block| resubmit(block, NAME, &submitter_key()));
    }
    if forger != Forger::Keyless {
        reseal(blocks, &ledger_key());
    }
}

/// A transaction of the target that is valid and wrote: its parts.
fn parts(blocks: &mut [Block]) -> (&mut Arc<Transaction>, &mut Verdict, &mut Vec<StoredWrite>) {
    let entries = blocks[TARGET].entries.iter_mut();
    let mut wrote = entries.filter_map(|entry| match entry {
        Entry::Transaction { transaction, verdict, writes }
            if writes.iter().any(|write| write.value.is_some()) =>
        {
            Some((transaction, verdict, writes))
        }
        _ => None,
    });
    wrote.next().unwrap()
}

fn change_argument(blocks: &mut [Block]) {
    let transaction = Arc::make_mut(parts(blocks).0);
    let text = String::from_utf8(transaction.arguments.bytes().to_vec()).unwrap();
    let changed = text.replace("\"temperature\":", "\"temperature\":-");
    assert_ne!(changed, text);
    transaction.arguments = Arguments::from_bytes(changed.as_bytes());
}

fn change_verdict(blocks: &mut [Block]) {
    let (_, verdict, writes) = parts(blocks);
    *verdict = Verdict::invalid(InvalidCode::UnknownContract, "it never was");
    writes.clear();
}

fn change_write(blocks: &mut [Block]) {
    let value = &mut parts(blocks).2[0].value;
    let text = String::from_utf8(value.as_ref().unwrap().to_vec()).unwrap();
    let changed = text.replace("\"temperature\":", "\"temperature\":-");
    assert_ne!(changed, text);
    *value = Some(changed.as_bytes().into());
}

fn drop_dead_letter(blocks: &mut [Block]) {
    assert!(blocks[TARGET].records.dead_letters.pop().is_some());
}

fn sign_for_another_ledger(blocks: &mut [Block]) {
    resubmit(&mut blocks[TARGET], "example.com/other", &submitter_key());
}

type Forge = fn(&mut Vec<Block>);

/// Changes by someone without a key, and the report of `verify`.
const KEYLESS: &[(&str, Forge, &str)] = &[
    ("an argument", |b| change_argument(b), "its tree root does not match its entries"),
    ("an argument", |b| change_argument(b), "a submission's root does not match its transactions"),
    ("a verdict", |b| change_verdict(b), "its effects hash does not match"),
    ("a verdict", |b| change_verdict(b), "its tree root does not match its entries"),
    ("a write's value", |b| change_write(b), "its effects hash does not match"),
    ("progress", |b| b[TARGET].records.progress[0].next += 1, "its records do not match its seal"),
    ("a dead letter", |b| drop_dead_letter(b), "its records do not match its seal"),
    (
        "a dead letter's bytes",
        |b| b[TARGET].records.dead_letters[0].value = Some(b"{}".to_vec()),
        "its records do not match its seal",
    ),
    (
        "a filtered run",
        |b| b[TARGET].records.filtered[0].runs[0].0 -= 1,
        "its records do not match its seal",
    ),
    ("a submission", |b| sign_for_another_ledger(b), "a submission's signature does not match"),
    ("the header's time", |b| b[TARGET].header.time_ms += 1, "its seal does not match"),
    ("the header's root", |b| b[TARGET].header.entries_root.0[7] ^= 1, "its seal does not match"),
    ("the header's effects", |b| b[TARGET].header.effects.0[7] ^= 1, "its effects hash"),
    ("the seal", |b| b[TARGET].seal.signature[3] ^= 1, "its seal does not match"),
    (
        "the seal's key",
        |b| b[TARGET].seal = Seal::sign(NAME, &stranger(), &b[TARGET].header.hash()),
        "it is sealed with a key that was not registered",
    ),
    (
        "the seal, with the submitter's key",
        |b| b[TARGET].seal = Seal::sign(NAME, &submitter_key(), &b[TARGET].header.hash()),
        "it is sealed with a key that was not registered",
    ),
    (
        "the seal, of another ledger",
        |b| {
            let hash = b[TARGET].header.hash();
            b[TARGET].seal = Seal::sign("example.com/other", &ledger_key(), &hash);
        },
        "its seal does not match",
    ),
    (
        "the checkpoint, an older one",
        |b| b[TARGET].checkpoint = b[TARGET - 1].checkpoint.clone(),
        "its checkpoint does not match its tree",
    ),
    (
        "the checkpoint's signature",
        |b| {
            let head = b[TARGET].tree_head().unwrap();
            b[TARGET].checkpoint = signed(NAME, head.size, head.root, &stranger());
        },
        "its checkpoint: none of the 1 known keys signed",
    ),
    (
        "the checkpoint's ledger",
        |b| {
            let head = b[TARGET].tree_head().unwrap();
            b[TARGET].checkpoint = signed("example.com/other", head.size, head.root, &ledger_key());
        },
        "its checkpoint: the checkpoint is of the ledger",
    ),
    ("the checkpoint", |b| b[TARGET].checkpoint = "none".into(), "its checkpoint: this is not"),
    (
        "blocks in another order",
        |b| b.swap(TARGET, TARGET + 1),
        "its number is not the expected one",
    ),
    ("blocks in another order", |b| b.swap(TARGET, TARGET + 1), "its previous hash is not"),
    (
        "a block left out",
        |b| _ = b.remove(TARGET),
        "its previous hash is not that of the previous block",
    ),
    (
        "a block twice",
        |b| b.insert(TARGET, b[TARGET - 1].clone()),
        "its number is not the expected one",
    ),
    ("entries in another order", |b| b[TARGET].entries.swap(0, 1), "its tree root does not match"),
    (
        "the first leaf",
        |b| b[TARGET].header.first_leaf += 1,
        "its first leaf is not the expected one",
    ),
    (
        "the first entry",
        |b| {
            b[TARGET].header.first_entry += 1;
            b[TARGET].header.entries_end += 1;
        },
        "its first entry is not the expected one",
    ),
    (
        "every block from here on sealed by a stranger",
        |b| {
            change_verdict(b);
            let honest = b[..TARGET].to_vec();
            reseal(b, &stranger());
            b[..TARGET].clone_from_slice(&honest);
        },
        "it is sealed with a key that was not registered",
    ),
];

/// Changes by the holder of the ledger's key, with everything adjusted that the key can sign.
const SEALING: &[(&str, Forge, &str)] = &[
    ("an argument", |b| change_argument(b), "a submission's root does not match its transactions"),
    ("a submission", |b| sign_for_another_ledger(b), "a submission's signature does not match"),
    (
        "a transaction of nobody",
        |b| {
            let entry = b[TARGET].entries[0].clone();
            b[TARGET].entries.push(entry);
        },
        "a transaction is not in any signed submission",
    ),
    (
        "a submission by the ledger itself",
        |b| resubmit(&mut b[TARGET], NAME, &ledger_key()),
        "a submission's key was not registered or had been retired",
    ),
    (
        "a submission after its key had ended",
        |b| {
            let key = submitter_key().id();
            let end = definition(DefinitionKind::KeyEnd, SUBMITTER_ROLE, key);
            b[TARGET].entries.insert(0, Entry::Definition(end));
        },
        "a submission's key was not registered or had been retired",
    ),
    (
        "a block after the ledger's key had ended",
        |b| {
            let end = definition(DefinitionKind::KeyEnd, LEDGER_ROLE, ledger_key().id());
            b[TARGET - 1].entries.push(Entry::Definition(end));
        },
        "it is sealed with a key that was not registered or had been retired",
    ),
    ("a gap", |b| b[TARGET].records.progress[0].from += 1, "it leaves a gap of telemetry/3"),
    ("a repeat", |b| b[TARGET].records.progress[0].from -= 1, "it repeats records of telemetry/3"),
    (
        "progress that goes back",
        |b| {
            let progress = &mut b[TARGET].records.progress;
            let mut back = progress[0].clone();
            (back.from, back.next, back.records) = (back.next, back.from, 0);
            progress.push(back);
            for later in &mut b[TARGET + 1..] {
                let progress = &mut later.records.progress[0];
                (progress.from, progress.next) = (progress.from - RECORDS, progress.next - RECORDS);
            }
        },
        "its progress goes backwards",
    ),
    (
        "a dead letter",
        |b| drop_dead_letter(b),
        "it read 6 records of telemetry/3 and accounts for 5",
    ),
    ("a filtered run", |b| b[TARGET].records.filtered[0].runs[0].0 += 1, "two dispositions"),
    (
        "a filtered run",
        |b| b[TARGET].records.filtered[0].runs[0].0 += 100,
        "it has a record outside its progress",
    ),
    (
        "a filtered run without end",
        |b| b[TARGET].records.filtered[0].runs[0].1 = u64::MAX,
        "it has a record outside its progress",
    ),
    (
        "a filtered run over all others",
        |b| b[TARGET].records.filtered[0].runs.push((0, u64::MAX)),
        "has two dispositions",
    ),
    (
        "counts beyond all numbers",
        |b| {
            for block in &mut b[TARGET..] {
                block.records.progress[0].records = u64::MAX;
                block.records.filtered[0].runs = vec![(0, u64::MAX), (1, u64::MAX)];
            }
        },
        "has two dispositions",
    ),
    (
        "a dead letter of another partition",
        |b| b[TARGET].records.dead_letters[0].partition = SourcePartition::new("telemetry", 4),
        "it has records of a partition without progress",
    ),
    ("another version", |b| parts(b).2[0].replaced = Some(0), "names another version of `C-"),
    ("no version", |b| parts(b).2[0].replaced = None, "names another version of `C-"),
    (
        "a write of an invalid transaction",
        |b| *parts(b).1 = Verdict::invalid(InvalidCode::UnknownContract, ""),
        "an invalid transaction has writes",
    ),
    (
        "a second name",
        |b| {
            let text = "1".into();
            let name = "example.com/other".to_owned();
            let kind = DefinitionKind::Ledger;
            b[TARGET].entries.push(Entry::Definition(Definition { kind, name, version: 0, text }));
        },
        "it names the ledger a second time",
    ),
    (
        "a time before",
        |b| b[TARGET].header.time_ms -= 3_600_000,
        "its time is before that of the previous block",
    ),
];

/// Changes that even the holder of both keys cannot hide.
const SIGNING: &[(&str, Forge, &str)] = &[
    (
        "a mapping that is not on the ledger",
        |b| Arc::make_mut(parts(b).0).mapping_digest = Digest::of(b"other"),
        "a transaction's mapping was not recorded before it",
    ),
    (
        "a contract that is not on the ledger",
        |b| Arc::make_mut(parts(b).0).contract = "ghost".into(),
        "a valid transaction's contract was not recorded before it",
    ),
    ("transactions in another order", |b| b[TARGET].entries.swap(0, 2), "comes after telemetry/3/"),
    (
        "an output too much",
        |b| Arc::make_mut(parts(b).0).id.output = 1,
        "is in the place of output 0 of its record",
    ),
    (
        "a record of the block before",
        |b| Arc::make_mut(parts(b).0).id.offset -= RECORDS,
        "it has a record outside its progress",
    ),
];

/// A definition at the end of the target's.
fn define(blocks: &mut [Block], kind: DefinitionKind, name: &str, (version, text): (u32, &str)) {
    let (name, text) = (name.to_owned(), text.into());
    blocks[TARGET].entries.push(Entry::Definition(Definition { kind, name, version, text }));
}

/// A manual call in a partition of calls, with the progress for it.
fn call(blocks: &mut [Block], partition: u32, change: fn(&mut Transaction)) {
    let partition = SourcePartition { partition, ..SourcePartition::calls() };
    let mut call = transactions(&blocks[TARGET])[0].clone();
    call.id = SourcePosition { partition: partition.clone(), offset: 0, output: 0 };
    call.device = DeviceName::new("operator", "ada");
    call.mapping_digest = Digest::default();
    let asked = call_digest(&call);
    (call.record_digest, call.value_digest) = (Some(asked), asked);
    change(&mut call);
    let digest = call.record_digest.unwrap();
    let last = Some(LastRecord { offset: 0, digest });
    blocks[TARGET].records.progress.push(Progress {
        partition,
        from: 0,
        next: 1,
        records: 1,
        last,
    });
    blocks[TARGET].entries.push(Entry::Transaction {
        transaction: Arc::new(call),
        verdict: Verdict::invalid(InvalidCode::Rejected, ""),
        writes: Vec::new(),
    });
}

fn arguments(blocks: &mut [Block], text: &str) {
    let transaction = Arc::make_mut(parts(blocks).0);
    transaction.arguments = Arguments::from_bytes(text.as_bytes());
}

fn state(blocks: &mut [Block], text: &str) {
    parts(blocks).2[0].value = Some(text.as_bytes().into());
}

/// Block contents that the format forbids, whoever signs them.
const CONTENT: &[(&str, Forge, &str)] = &[
    (
        "the bytes of a dead letter",
        |b| b[TARGET].records.dead_letters[0].value = Some(b"{RUBBISH".to_vec()),
        "does not have the digest of its value",
    ),
    (
        "the digest of a dead letter",
        |b| b[TARGET].records.dead_letters[0].digest = Digest::of(b"other"),
        "does not have the digest of its value",
    ),
    (
        "a dead letter that is longer than it says",
        |b| b[TARGET].records.dead_letters[0].value_len -= 1,
        "keeps more or less of its record",
    ),
    (
        "a dead letter that is shorter than it says",
        |b| b[TARGET].records.dead_letters[0].value_len = 70_000,
        "keeps more or less of its record",
    ),
    (
        "more of a key than is kept",
        |b| b[TARGET].records.dead_letters[0].key = Some(vec![0; 65_537]),
        "keeps more or less of its record",
    ),
    (
        "more of the headers than is kept",
        |b| {
            let header = ("h".to_owned(), Some(vec![0; 65_536]));
            b[TARGET].records.dead_letters[0].headers.push(header);
        },
        "keeps more or less of its record",
    ),
    (
        "the digest of the last record, a dead letter",
        |b| b[TARGET].records.progress[0].last.as_mut().unwrap().digest = Digest::of(b"other"),
        "the last record of telemetry/3 does not have the digest",
    ),
    (
        "the digest of the last record, a transaction",
        |b| {
            let records = &mut b[TARGET].records;
            drop(records.dead_letters.pop());
            drop(records.filtered.pop());
            let progress = &mut records.progress[0];
            progress.records -= 2;
            progress.last.as_mut().unwrap().offset -= 2;
        },
        "the last record of telemetry/3 does not have the digest",
    ),
    (
        "two progresses of one partition",
        |b| {
            let progress = &mut b[TARGET].records.progress;
            let Progress { partition, next, .. } = progress[0].clone();
            progress.push(Progress { partition, from: next, next, records: 0, last: None });
        },
        "its progress names telemetry/3 more than once",
    ),
    (
        "two lists of filtered records of one partition",
        |b| {
            let filtered = &mut b[TARGET].records.filtered;
            filtered.push(Filtered { partition: partition(), runs: Vec::new() });
        },
        "its filtered records names telemetry/3 more than once",
    ),
    (
        "a filtered run of nothing",
        |b| {
            let runs = &mut b[TARGET].records.filtered[0].runs;
            let (first, _) = runs[0];
            runs.insert(0, (first, 0));
        },
        "is empty or does not rise",
    ),
    (
        "filtered runs that do not rise",
        |b| {
            let records = &mut b[TARGET].records;
            let letter = records.dead_letters.pop().unwrap();
            records.filtered[0].runs.insert(0, (letter.offset, 1));
            records.progress[0].last = None;
        },
        "is empty or does not rise",
    ),
    (
        "a dead letter that is a manual call",
        |b| {
            let letter = &mut b[TARGET].records.dead_letters[0];
            (letter.partition, letter.offset) = (SourcePartition::calls(), 0);
        },
        "it has a manual call that is not a transaction",
    ),
    (
        "a submission of nothing",
        |b| {
            let signed = Submission::sign(NAME, &submitter_key(), Vec::<Transaction>::new());
            let (signer, root, signature) = (signed.signer(), signed.root(), signed.signature());
            let empty = SubmissionSeal { signer, root, signature, count: 0 };
            b[TARGET].records.submissions.push(empty);
        },
        "or a submission has no transactions",
    ),
    (
        "the end of a key that never was",
        |b| define(b, DefinitionKind::KeyEnd, LEDGER_ROLE, (0, &stranger().id().to_string())),
        "it retires a key that is not active",
    ),
    (
        "a key of no role",
        |b| define(b, DefinitionKind::Key, "boss", (0, &stranger().id().to_string())),
        "there is no role `boss` of keys",
    ),
    (
        "a key that is not one",
        |b| define(b, DefinitionKind::Key, LEDGER_ROLE, (0, "zz")),
        "is not a key in lower-case hexadecimal",
    ),
    (
        "a key in upper case",
        |b| define(b, DefinitionKind::Key, LEDGER_ROLE, (0, &"AB".repeat(32))),
        "is not a key in lower-case hexadecimal",
    ),
    (
        "a version of a key",
        |b| define(b, DefinitionKind::Key, LEDGER_ROLE, (1, &"ab".repeat(32))),
        "the key `ledger` has a version",
    ),
    (
        "a version of a mapping",
        |b| define(b, DefinitionKind::Mapping, "m", (3, "mapping: m")),
        "the mapping `m` has a version",
    ),
    (
        "the same version of a contract with another text",
        |b| define(b, DefinitionKind::Contract, CONTRACT_NAME, (1, "contract: cold_chain")),
        "a contract's version is not higher than the previous one",
    ),
    (
        "an older version of a contract",
        |b| define(b, DefinitionKind::Contract, CONTRACT_NAME, (0, CONTRACT)),
        "a contract's version is not higher than the previous one",
    ),
    (
        "a first output of 1",
        |b| Arc::make_mut(parts(b).0).id.output = 1,
        "is in the place of output 0 of its record",
    ),
    ("arguments that are not JSON", |b| arguments(b, "{x"), "are not compact JSON"),
    ("arguments with spaces", |b| arguments(b, "{\"a\": 1}"), "are not compact JSON"),
    ("arguments and more", |b| arguments(b, "{}{}"), "are not compact JSON"),
    ("a state that is not JSON", |b| state(b, "rubbish"), "that is not a valid asset state"),
    ("a state of an asset without alerts", |b| state(b, "{}"), "that is not a valid asset state"),
    (
        "a manual call with another digest",
        |b| call(b, 0, |call| call.value_digest = Digest::of(b"other")),
        "does not have the digest of its request",
    ),
    (
        "a manual call with another request",
        |b| call(b, 0, |call| call.time_ms += 1),
        "does not have the digest of its request",
    ),
    (
        "a manual call of a device",
        |b| call(b, 0, |call| call.device = DeviceName::new("reefer", "ada")),
        "a manual call does not say who made it",
    ),
    (
        "a manual call through a mapping",
        |b| call(b, 0, |call| call.mapping_digest = Digest::of(MAPPING.as_bytes())),
        "a manual call does not say who made it",
    ),
    (
        "a manual call in a partition that is not theirs",
        |b| call(b, 5, |_| {}),
        "~calls/5 is not the partition of manual calls",
    ),
    (
        "a second output of a record with other digests",
        |b| {
            let [first, second, ..] = &mut b[TARGET].entries[..] else { panic!() };
            let id = first.transaction().unwrap().id.clone();
            let Entry::Transaction { transaction, .. } = second else { panic!() };
            let transaction = Arc::make_mut(transaction);
            transaction.id = SourcePosition { output: 1, ..id };
            transaction.value_digest = Digest::of(b"other");
            b[TARGET].records.progress[0].records -= 1;
        },
        "of its record",
    ),
];

#[test]
fn an_asset_that_cannot_be_read_is_never_shown_as_deleted() {
    let folder = made();
    let mut blocks = blocks(folder.path());
    let (transaction, _, writes) = parts(&mut blocks);
    let (id, key) = (transaction.id.clone(), writes[0].key.to_string());
    writes[0].value = Some(b"\xffrubbish".as_slice().into());
    // What came later of this asset would hide it.
    blocks.truncate(TARGET + 1);
    finish(&mut blocks, Forger::Sealing);
    let forged = ledger::folder();
    write_blocks(forged.path(), &blocks);
    let looking = look(forged.path(), None, &mut |_, _, _| {}).unwrap_or_else(|e| panic!("{e}"));
    let transaction = || json::to_text(&looking.queries.transaction(&id).unwrap());
    let history = || {
        json::to_text(
            &looking
                .queries
                .history(AssetRef { contract: "cold_chain", key: &key }, None, 10)
                .unwrap(),
        )
    };
    let past = || {
        let at = At::Block(TARGET as u64);
        json::to_text(
            &looking
                .queries
                .asset_at(AssetRef { contract: "cold_chain", key: &key }, at, None)
                .unwrap(),
        )
    };
    for view in [&transaction as &dyn Fn() -> String, &history, &past] {
        assert!(view().contains(r#"{"unreadable":"/3J1YmJpc2g="}"#), "{}", view());
    }
    let error = looking.queries.asset("cold_chain", &key).unwrap_err();
    let error = ledgerline::diagnostic::chain(&error);
    assert!(error.contains(&format!("the state of `{key}` of `cold_chain`")), "{error}");
    let filter = Filter::default();
    assert!(
        looking.queries.assets("cold_chain", None, &filter, 100).is_err(),
        "it is not left out"
    );
}

#[test]
fn whatever_was_changed_is_found_in_its_block() {
    let original = blocks(made().path());
    let tables =
        [(Forger::Keyless, KEYLESS), (Forger::Sealing, SEALING), (Forger::Signing, SIGNING)];
    for (forger, table) in tables {
        for (what, forge, expected) in table {
            let mut blocks = original.clone();
            forge(&mut blocks);
            finish(&mut blocks, forger);
            let folder = folder();
            write_blocks(folder.path(), &blocks);
            let report = report(folder.path());
            let named = format!("block {TARGET}: ");
            let is_found =
                |problem: &String| problem.starts_with(&named) && problem.contains(expected);
            assert!(
                report.problems.iter().any(is_found),
                "{what} ({forger:?}): {:#?}",
                report.problems
            );
            let first = report.problems.first().unwrap();
            let in_front = (0..TARGET).any(|at| first.starts_with(&format!("block {at}: ")));
            assert!(!in_front, "{what}: what precedes it is sound: {first}");
        }
    }
}

#[test]
fn what_the_page_forbids_is_found_by_both_verifiers() {
    let original = blocks(made().path());
    for (what, forge, expected) in CONTENT {
        let mut blocks = original.clone();
        forge(&mut blocks);
        // Signed again as one submission, so that only the content is wrong; but not where an
        // empty one is what is forged.
        let signs = blocks[TARGET].records.submissions.len() == 1;
        finish(&mut blocks, if signs { Forger::Signing } else { Forger::Sealing });
        // What follows may hang on what was forged.
        blocks.truncate(TARGET + 1);
        let folder = folder();
        write_blocks(folder.path(), &blocks);
        let problems = report(folder.path()).problems;
        let named = format!("block {TARGET}: ");
        let is_found = |problem: &String| problem.starts_with(&named) && problem.contains(expected);
        assert!(problems.iter().any(is_found), "{what}: {problems:#?}");
        let is_named = |problem: &String| problem.starts_with(&named);
        assert!(problems.iter().all(is_named), "{what}: {problems:#?}");
        if let Some((is_sound, said)) = foreign(folder.path()) {
            assert!(!is_sound && said.contains(&named), "{what}: {said}");
        }
    }
}

#[test]
fn honest_calls_by_hand_are_found_sound_by_both_verifiers() {
    let mut blocks = blocks(made().path());
    call(&mut blocks, 0, |_| {});
    finish(&mut blocks, Forger::Signing);
    blocks.truncate(TARGET + 1);
    let folder = folder();
    write_blocks(folder.path(), &blocks);
    assert_sound(folder.path());
    if let Some((is_sound, said)) = foreign(folder.path()) {
        assert!(is_sound, "{said}");
    }
}

#[test]
fn a_ledger_begins_with_its_own_definition() {
    let mut blocks = blocks(made().path());
    blocks[0].entries.reverse();
    finish(&mut blocks, Forger::Signing);
    let folder = folder();
    write_blocks(folder.path(), &blocks);
    assert_finds(&report(folder.path()), "block 0: its first entry does not name the ledger");
}

/// The report of the verifier that was written from `docs/format.md` alone; `None` without Python.
fn foreign(ledger: &Path) -> Option<(bool, String)> {
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/verify.py")).arg(ledger);
    let output = python.output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn the_forger_of_these_tests_leaves_an_honest_ledger_sound() {
    for forger in [Forger::Keyless, Forger::Sealing, Forger::Signing] {
        let folder = made();
        let mut blocks = blocks(folder.path());
        let honest = blocks.clone();
        finish(&mut blocks, forger);
        assert_eq!(blocks, honest);
        write_blocks(folder.path(), &blocks);
        assert_sound(folder.path());
    }
}

/// True if a block holds by itself, behind these.
fn holds_behind(front: &[Block], block: &Block) -> bool {
    let mut frontier = Frontier::new();
    for block in front {
        for entry in &block.entries {
            frontier.append(leaf_hash(&leaf_bytes(&entry.to_bytes())));
        }
        block.own_leaf().iter().for_each(|leaf| frontier.append(leaf_hash(leaf)));
    }
    let definitions = front.iter().flat_map(|block| &block.entries).filter_map(Entry::definition);
    let header = front.last().map(|block| &block.header);
    let tree_root = front.last().map(|block| block.tree_head().unwrap().root);
    let definitions = definitions.collect();
    let steps = one_block(block, Before { header, tree_root, frontier, definitions });
    steps.iter().all(|step| step.holds)
}

#[test]
fn a_block_by_itself_holds_only_as_it_was_made() {
    let honest = blocks(made().path());
    for (at, block) in honest.iter().enumerate() {
        assert!(holds_behind(&honest[..at], block), "block {at}");
        if at > 0 {
            assert!(!holds_behind(&honest[..at - 1], block), "block {at} at another place");
        }
    }
    let mut random = Random(seed());
    let made = made();
    let segment = std::fs::read(&segments(made.path())[0]).unwrap();
    for _ in 0..400 {
        let frames = frames(&segment);
        let number = random.below(frames.len());
        let mut payload = frames[number].payload.clone();
        let at = random.below(payload.len());
        payload[at] ^= 1 << random.below(8);
        if let Ok(changed) = Block::decode(&payload) {
            assert!(!holds_behind(&honest[..number], &changed), "byte {at} of block {number}");
        }
    }
}

#[test]
fn any_bit_of_any_block_matters() {
    let mut random = Random(seed());
    let made = made();
    let segment = std::fs::read(&segments(made.path())[0]).unwrap();
    let frames = frames(&segment);
    for _ in 0..400 {
        let number = random.below(frames.len());
        let mut frames = frames.clone();
        let at = random.below(frames[number].payload.len());
        frames[number].payload[at] ^= 1 << random.below(8);
        let groups: Vec<_> = frames.chunks(1).collect();
        let folder = folder();
        write_log(folder.path(), &segment_of(&groups));
        let report = report(folder.path());
        let named = format!("block {number}: ");
        let first = report.problems.first();
        assert!(
            first.is_some_and(|problem| problem.starts_with(&named)),
            "byte {at} of block {number}: {:#?}",
            report.problems
        );
    }
}

#[test]
fn a_block_that_is_no_block_is_found() {
    let made = made();
    let segment = std::fs::read(&segments(made.path())[0]).unwrap();
    let frames = frames(&segment);
    let payload = &frames[TARGET].payload;
    let longer = [payload.as_slice(), b"more"].concat();
    for content in [Vec::new(), payload[..payload.len() - 1].to_vec(), longer, vec![0xff; 300]] {
        let mut frames = frames.clone();
        frames[TARGET].payload = content;
        let groups: Vec<_> = frames.chunks(1).collect();
        write_log(made.path(), &segment_of(&groups));
        let report = report(made.path());
        assert!(report.problems[0].starts_with(&format!("block {TARGET}: ")), "{report:#?}");
    }
    // A checksum that fits nothing is damage with its place.
    let mut damaged = segment.clone();
    let at = usize::try_from(frames[TARGET].offset).unwrap() + frame::FRAME_HEADER_BYTES;
    damaged[at] ^= 1;
    write_log(made.path(), &damaged);
    let problem = format!("byte {}", frames[TARGET].offset);
    assert!(report(made.path()).problems[0].contains(&problem));
    write_log(made.path(), &segment);
    assert_sound(made.path());
}

fn report_of(directory: &Path, change: impl FnOnce(&mut Request)) -> Report {
    let mut request = Request { directory: directory.to_owned(), ..Request::default() };
    change(&mut request);
    verify(&request, &mut |_, _| {}).unwrap()
}

fn since(directory: &Path, older: &str) -> Report {
    report_of(directory, |request| request.from_checkpoint = Some(older.as_bytes().to_vec()))
}

#[track_caller]
fn assert_finds(report: &Report, expected: &str) {
    let found = report.problems.iter().any(|problem| problem.contains(expected));
    assert!(found, "{expected}: {:#?}", report.problems);
}

#[test]
fn a_log_extends_each_checkpoint_that_it_ever_gave_out() {
    let folder = made();
    let blocks = blocks(folder.path());
    for block in &blocks {
        let report = since(folder.path(), &block.checkpoint);
        assert!(report.is_sound(), "{:#?}", report.problems);
        assert!(report.notes.iter().any(|note| note.contains("extends the older checkpoint")));
    }
    // Also one in the middle of a block, which an auditor may have from elsewhere.
    let mut frontier = Frontier::new();
    let leaves = blocks.iter().flat_map(|block| {
        let entries = block.entries.iter().map(|entry| leaf_bytes(&entry.to_bytes()).into_owned());
        entries.chain(block.own_leaf()).collect::<Vec<_>>()
    });
    for leaf in leaves {
        frontier.append(leaf_hash(&leaf));
        let older = signed(NAME, frontier.size(), frontier.root(), &ledger_key());
        assert!(since(folder.path(), &older).is_sound());
    }
}

/// Parts of a block besides its entries that a forger with every key may change.
const BESIDES_ENTRIES: &[(&str, Forge)] = &[
    ("a dead letter's bytes", |b| {
        b[TARGET].records.dead_letters[0].value = Some(b"{}".to_vec());
    }),
    ("a dead letter's cause", |b| {
        b[TARGET].records.dead_letters[0].rejection.cause = Cause::Number;
    }),
    ("a dead letter's digest", |b| {
        b[TARGET].records.dead_letters[0].record_digest = Some(Digest::of(b"another"));
    }),
    ("a dead letter that becomes a filtered record", |b| {
        drop_dead_letter(b);
        b[TARGET].records.filtered[0].runs[0].1 += 1;
    }),
    ("a filtered record that vanishes", |b| {
        let records = &mut b[TARGET].records;
        records.filtered.clear();
        records.progress[0].records -= 1;
    }),
    ("an epoch of the topic", |b| {
        for block in b.iter_mut().skip(TARGET) {
            let records = &mut block.records;
            let letters = records.dead_letters.iter_mut().map(|letter| &mut letter.partition);
            let filtered = records.filtered.iter_mut().map(|filtered| &mut filtered.partition);
            let progress = records.progress.iter_mut().map(|progress| &mut progress.partition);
            letters.chain(filtered).chain(progress).for_each(|partition| partition.epoch += 1);
        }
    }),
    ("the digest of the last record", |b| {
        b[TARGET].records.progress[0].last.as_mut().unwrap().digest = Digest::of(b"another");
    }),
    ("the block's time", |b| b[TARGET].header.time_ms += 1),
    ("two blocks that were one", |b| {
        let mut second = b[TARGET].clone();
        b[TARGET].entries.clear();
        b[TARGET].records = Records::default();
        second.header.time_ms = b[TARGET].header.time_ms;
        b.insert(TARGET + 1, second);
    }),
];

#[test]
fn a_checkpoint_covers_all_that_blocks_hold_not_their_entries_alone() {
    for (what, forge) in BESIDES_ENTRIES {
        let folder = made();
        let honest = blocks(folder.path())[TARGET].checkpoint.clone();
        let mut blocks = blocks(folder.path());
        forge(&mut blocks);
        finish(&mut blocks, Forger::Sealing);
        write_blocks(folder.path(), &blocks);
        assert_finds(&since(folder.path(), &honest), "does not extend the older checkpoint");
        println!("found: {what}");
    }
}

#[test]
fn a_seal_made_anew_is_found_by_an_older_checkpoint() {
    let folder = made();
    let honest = blocks(folder.path())[TARGET].checkpoint.clone();
    let mut blocks = blocks(folder.path());
    // The submitter's key may be made a key of the ledger, and then seals as well as the first.
    blocks[1].entries.push(Entry::Definition(definition(
        DefinitionKind::Key,
        LEDGER_ROLE,
        submitter_key().id(),
    )));
    reseal(&mut blocks, &ledger_key());
    write_blocks(folder.path(), &blocks);
    assert_finds(&since(folder.path(), &honest), "does not extend the older checkpoint");
}

#[test]
fn a_ledger_cannot_go_back_to_an_older_format() {
    let folder = made();
    let mut blocks = blocks(folder.path());
    blocks[TARGET].header.format = BlockFormat::V1;
    reseal(&mut blocks, &ledger_key());
    write_blocks(folder.path(), &blocks);
    let problem = "its format differs from the ledger's";
    assert_finds(&report(folder.path()), problem);
    assert!(open(&opening(folder.path()), &mut |_, _| {}).is_err());
}

#[test]
fn history_that_was_rewritten_with_every_key_is_found_by_an_older_checkpoint() {
    for forge in [change_argument, change_verdict, change_write] {
        let folder = made();
        let honest = checkpoint(folder.path());
        let mut blocks = blocks(folder.path());
        forge(&mut blocks);
        finish(&mut blocks, Forger::Signing);
        write_blocks(folder.path(), &blocks);
        assert_finds(&since(folder.path(), &honest), "does not extend the older checkpoint");
    }
}

#[test]
fn a_log_that_lost_its_end_is_found_by_an_older_checkpoint() {
    let folder = made();
    let honest = checkpoint(folder.path());
    let mut blocks = blocks(folder.path());
    blocks.truncate(TARGET);
    write_blocks(folder.path(), &blocks);
    assert_finds(&since(folder.path(), &honest), "cannot extend the older checkpoint");
    // The state beside it knows more than the log, too.
    assert_finds(&report(folder.path()), "the state store is at block 10, the log has 5");
    std::fs::remove_dir_all(folder.path().join(STATE_DIRECTORY)).unwrap();
    assert_sound(folder.path());
}

#[test]
fn a_checkpoint_that_is_not_the_ledgers_own_proves_nothing() {
    let folder = made();
    let head = blocks(folder.path()).pop().unwrap().tree_head().unwrap();
    let (size, root) = (head.size, head.root);
    let cases = [
        (signed(NAME, size, root, &stranger()), "none of the 1 known keys"),
        (signed(NAME, size, root, &submitter_key()), "none of the 1 known keys"),
        (signed("example.com/other", size, root, &ledger_key()), "is of the ledger"),
        (signed(NAME, size, Digest::of(b"other"), &ledger_key()), "does not extend"),
        (signed(NAME, size + 1, root, &ledger_key()), "cannot extend"),
        ("rubbish".into(), "not a signed checkpoint"),
        ("".into(), "not a signed checkpoint"),
    ];
    for (note, expected) in cases {
        assert_finds(&since(folder.path(), &note), expected);
    }
}

#[test]
fn a_ledger_written_from_scratch_with_another_key_is_found_by_the_key() {
    let folder = folder();
    let (mine, theirs) = (ledger_key().id(), stranger().id());
    let keys = LedgerKeys { signer: stranger(), previous: None, submitter: submitter_key().id() };
    let opened = open(&opening(folder.path()), &mut |_, _| {}).unwrap();
    let world = Arc::new(caught_up(&opened.reader()));
    let mut ledger = opened.start(&keys, contracts(), world, Ticks::new()).unwrap();
    ledger.append(definitions()).unwrap().wait().unwrap();
    grow(&mut ledger, 0..WORKS, "");
    drop(ledger);
    assert_sound(folder.path());
    assert_eq!(report(folder.path()).first_key, Some(theirs), "the report says whose it is");
    assert!(report_of(folder.path(), |request| request.expected_key = Some(theirs)).is_sound());
    let report = report_of(folder.path(), |request| request.expected_key = Some(mine));
    assert_finds(&report, "block 0: it is not sealed with the requested key");
    let honest = checkpoint(made().path());
    assert_finds(&since(folder.path(), &honest), "known keys");
}

#[test]
fn a_state_that_differs_from_the_log_is_found() {
    // The log was changed with every key, the state was not.
    for forge in [change_verdict, change_write] {
        let folder = made();
        let mut blocks = blocks(folder.path());
        forge(&mut blocks);
        finish(&mut blocks, Forger::Signing);
        write_blocks(folder.path(), &blocks);
        assert_finds(
            &report(folder.path()),
            "the state store does not match the writes of the first 10",
        );
    }
    // The state was changed, the log was not.
    type Change = fn(&sled::Db);
    let changes: [(Change, &str); 5] = [
        (|db| _ = db.insert(b"s/cold_chain\0C-99", &[0, 0]).unwrap(), "its assets do not match"),
        (
            |db| _ = db.insert(b"a/cold_chain\0C-99", b"\x01\x03HOT\0").unwrap(),
            "its list of alerts does not match",
        ),
        (|db| _ = db.insert(b"a/cold_chain\0C-99", b"").unwrap(), "cannot be read"),
        (
            |db| {
                // An alert that has been active for longer: its time is the last number.
                let (key, mut since) = db.scan_prefix("a/").next().unwrap().unwrap();
                let time = since.last_mut().unwrap();
                *time -= 1;
                db.insert(key, since).unwrap();
            },
            "the state store does not match the writes of the first 10",
        ),
        (
            |db| {
                // One more record in the totals, behind version, blocks, hash and entries.
                let mut savepoint = db.get("m/savepoint").unwrap().unwrap().to_vec();
                savepoint[1 + 1 + 32 + 1] += 1;
                db.insert("m/savepoint", savepoint).unwrap();
            },
            "the state store does not match the writes of the first 10",
        ),
    ];
    for (change, expected) in changes {
        let folder = made();
        let db = open_store(folder.path());
        change(&db);
        db.flush().unwrap();
        drop(db);
        assert_finds(&report(folder.path()), expected);
    }
}

#[test]
fn sound_ledgers_verify() {
    let empty = folder();
    drop(start(&opening(empty.path())).unwrap());
    assert_sound(empty.path());
    for works in [0, 1, 40] {
        let folder = folder();
        make(folder.path(), works, "");
        let report = report(folder.path());
        assert!(report.is_sound(), "{:#?}", report.problems);
        assert_eq!((report.blocks, report.records), (works + 2, works * RECORDS));
        assert_eq!(report.transactions, works * TRANSACTIONS);
        assert_eq!(report.name, NAME);
        assert_eq!(report.first_key, Some(ledger_key().id()));
        assert!(report.notes.iter().any(|note| note.contains("state store matches")));
    }
}

#[test]
fn a_change_of_keys_verifies_and_ends_the_old_ones() {
    let folder = made();
    let old = checkpoint(folder.path());
    let (new, submitter) = (signer(11), signer(12));
    let keys =
        LedgerKeys { signer: new.clone(), previous: Some(ledger_key()), submitter: submitter.id() };
    let opened = open(&opening(folder.path()), &mut |_, _| {}).unwrap();
    let world = Arc::new(caught_up(&opened.reader()));
    let mut ledger = opened.start(&keys, contracts(), world, Ticks::new()).unwrap();
    let mut work = work(WORKS, "");
    assert!(ledger.append(self::work(WORKS, "")).is_err(), "the old submitter's key has ended");
    let transactions = work.submissions.remove(0).into_transactions();
    work.submissions = vec![Submission::sign(NAME, &submitter, transactions)];
    ledger.append(work).unwrap().wait().unwrap();
    drop(ledger);
    assert_sound(folder.path());
    assert!(since(folder.path(), &old).is_sound(), "signed with the key before");
    let first = report_of(folder.path(), |r| r.expected_key = Some(ledger_key().id()));
    assert!(first.is_sound(), "a ledger is known by the key that it began with");
    // The old key seals no more.
    let mut blocks = blocks(folder.path());
    let last = blocks.len() - 1;
    blocks[last].seal = Seal::sign(NAME, &ledger_key(), &blocks[last].header.hash());
    write_blocks(folder.path(), &blocks);
    assert_finds(&report(folder.path()), "it is sealed with a key that was not registered");
}

#[test]
fn nothing_at_all_is_not_sound() {
    let folder = folder();
    let request = Request { directory: folder.path().to_owned(), ..Request::default() };
    assert!(verify(&request, &mut |_, _| {}).is_err(), "no log");
    write_log(folder.path(), b"LEDGERLINE LOG 1");
    assert_finds(&report(folder.path()), "no block");
    std::fs::remove_file(&segments(folder.path())[0]).unwrap();
    assert_finds(&report(folder.path()), "no block");
}
