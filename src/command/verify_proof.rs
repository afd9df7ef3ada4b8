//! `ledgerline verify-proof`: one proof, checked without the ledger.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::codec::{Digest, Hasher};
use crate::command::exit::{ExitStatus, UsageError};
use crate::command::output::{line, note, safe};
use crate::ledger::checkpoint::parse_verifier_key;
use crate::ledger::proof::EntryProof;
use crate::ledger::{Entry, Leaf};
use crate::limits::{MAX_PROOF_BYTES, READ_CHUNK_BYTES};
use crate::query::json;
use crate::query::views::{DefinitionView, TransactionSummary};
use crate::transaction::Transaction;

/// Arguments of `verify-proof`.
#[derive(Debug, Args)]
pub struct ProofArgs {
    /// The proof, as `ledgerline tx DIR ID --proof` printed it (C2SP tlog-proof); `-` for standard
    /// input.
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// A key of the ledger, known from elsewhere (`name+number+key`).
    #[arg(long, value_name = "KEY")]
    key: String,
    /// A file with the value of the transaction's record, to be compared with its digest.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Checks a proof and shows what it proves.
pub fn verify_proof(args: &ProofArgs) -> anyhow::Result<ExitStatus> {
    let (name, key) = parse_verifier_key(&args.key)
        .map_err(|error| UsageError(format!("`--key {}`: {error}", safe(&args.key))))?;
    let text = read_proof(&args.proof)?;
    let proof = match EntryProof::parse(&text) {
        Ok(proof) => proof,
        Err(error) => return refused(&error.to_string()),
    };
    let Some(leaf) = &proof.leaf else {
        return refused("the proof has no `extra` line with the leaf, so its subject is unknown");
    };
    let head = match proof.verify(leaf, &name, &[key]) {
        Ok(head) => head,
        Err(error) => return refused(&crate::diagnostic::chain(&error)),
    };
    line(format!("ledger        {}", safe(&head.origin)))?;
    line(format!("tree          {} leaves, root {}", head.size, head.root))?;
    line(format!("leaf          {}", proof.index))?;
    let transaction = match show(proof.index, leaf)? {
        Ok(transaction) => transaction,
        Err(problem) => return refused(&problem),
    };
    if let Some(record) = &args.record
        && let Some(problem) = compare(record, transaction.as_deref())?
    {
        return refused(&problem);
    }
    line("verified")?;
    Ok(ExitStatus::Ok)
}

fn refused(problem: &str) -> anyhow::Result<ExitStatus> {
    note(format!("not verified: {}", safe(problem)));
    Ok(ExitStatus::Data)
}

fn read_proof(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut text = String::new();
    let limit = MAX_PROOF_BYTES + 1;
    match path.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_string(&mut text),
        false => {
            let file = std::fs::File::open(path).with_context(reading)?;
            file.take(limit).read_to_string(&mut text)
        }
    }
    .with_context(reading)?;
    match text.len() as u64 >= limit {
        true => Err(UsageError(format!("a proof has at most {MAX_PROOF_BYTES} bytes")).into()),
        false => Ok(text),
    }
}

/// Shows what stands in a leaf; the transaction, where it holds one, or why it cannot be read.
fn show(index: u64, leaf: &[u8]) -> anyhow::Result<Result<Option<Box<Transaction>>, String>> {
    let entry = match Leaf::parse(leaf) {
        Ok(Leaf::Entry(entry)) => entry,
        Ok(Leaf::ByDigest { digest, len }) => {
            line(format!("entry         {len} bytes with SHA-256 {digest}, too long for a leaf"))?;
            return Ok(Ok(None));
        }
        Ok(Leaf::Block(header)) => {
            line(format!("block         {}, hash {}", header.number, header.hash()))?;
            line(format!("records       {}", header.records))?;
            return Ok(Ok(None));
        }
        Err(error) => return Ok(Err(format!("the leaf cannot be read: {error}"))),
    };
    match &*entry {
        Entry::Transaction { transaction, verdict, writes } => {
            let summary = TransactionSummary::new(index, transaction, verdict, writes);
            line(format!("transaction   {}", safe(&json::to_text(&summary))))?;
            line(format!("arguments     {}", safe(&transaction.arguments.value().to_string())))?;
            line(format!("mapping       {}", transaction.mapping_digest))?;
            line(format!("value         {}", transaction.value_digest))?;
            if let Some(record) = transaction.record_digest {
                line(format!("record        {record}"))?;
            }
            Ok(Ok(Some(Box::new(Transaction::clone(transaction)))))
        }
        Entry::Definition(definition) => {
            let view = DefinitionView::new(index, definition, false);
            line(format!("definition    {}", safe(&json::to_text(&view))))?;
            Ok(Ok(None))
        }
    }
}

/// Compares a file with the digest of the record's value; what is wrong, if anything.
fn compare(path: &Path, transaction: Option<&Transaction>) -> anyhow::Result<Option<String>> {
    let Some(transaction) = transaction else {
        return Ok(Some("the leaf has no transaction to compare a record with".to_owned()));
    };
    let reading = || format!("reading {}", path.display());
    let mut file = std::fs::File::open(path).with_context(reading)?;
    let mut hasher = Hasher::default();
    let mut chunk = vec![0; READ_CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).with_context(reading)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
    }
    let found: Digest = hasher.finish();
    if found == transaction.value_digest {
        line(format!("{} is the value of the record", path.display()))?;
        return Ok(None);
    }
    Ok(Some(format!("{} has SHA-256 {found}, which is not the value's", path.display())))
}
