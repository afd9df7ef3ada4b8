//! Checkpoints from outside that the log must extend.

use crate::codec::Digest;
use crate::ledger::checkpoint::Checkpoint;
use crate::verify::Report;
use crate::verify::signatures::Signatures;

/// A checkpoint that the log must extend.
pub(super) struct Promised {
    /// Its name, for messages.
    pub name: &'static str,
    pub head: Checkpoint,
    pub note: Vec<u8>,
    /// Root of the log at its size, once the log is read up to there.
    pub root: Option<Digest>,
}

impl Promised {
    /// Compares it with the log that was read.
    pub fn finish(self, signatures: &Signatures, report: &mut Report) {
        let Self { name, head, note, root } = self;
        let keys = signatures.ever_ledger_keys();
        if let Err(error) = Checkpoint::open(&note, signatures.name(), &keys) {
            return report.problem(format!("the {name}: {error}"));
        }
        let size = head.size;
        match root {
            Some(root) if root == head.root => report.notes.push(format!(
                "the log extends the {name} of tree size {size}: it has the same root at that size"
            )),
            Some(root) => report.problem(format!(
                "the log does not extend the {name} of tree size {size}: the root there is {root}, the \
                 checkpoint says {}",
                head.root
            )),
            None => report.problem(format!(
                "the log ends at tree size {} and cannot extend the {name} of tree size {size}: its end was truncated or \
                 damaged, or this is an older copy",
                report.tree_size
            )),
        }
    }
}
