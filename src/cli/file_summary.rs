//! The summary at the end of a run over a file: its records by disposition.

use std::sync::Arc;

use crate::app::Opened;
use crate::input::FileCounts;
use crate::pipeline::status::Status;
use crate::query::views::grouped;
use crate::state::World;

/// Counts of the whole ledger.
#[derive(Clone, Copy)]
struct Counts {
    filtered: u64,
    dead_letters: u64,
}

impl Counts {
    fn now(world: &World) -> Self {
        let totals = world.totals();
        Self { filtered: totals.filtered, dead_letters: totals.dead_letter_count() }
    }
}

/// A run over a file.
pub struct FileSummary {
    status: Arc<Status>,
    world: Arc<World>,
    file: Arc<FileCounts>,
    before: Counts,
}

impl FileSummary {
    /// Begins the summary; `None` where the source is not a file.
    pub fn begin(opened: &Opened) -> Option<Self> {
        let (status, world) = (opened.status.clone(), opened.world.clone());
        let before = Counts::now(&world);
        Some(Self { file: opened.file.clone()?, status, world, before })
    }

    /// Logs the summary, once the pipeline has drained.
    pub fn log(&self) {
        let (before, after) = (self.before, Counts::now(&self.world));
        // Records of this run, manual calls not included.
        let records = self.status.topics().values().map(|topic| topic.records).sum::<u64>();
        let filtered = after.filtered.saturating_sub(before.filtered);
        let dead_letters = after.dead_letters.saturating_sub(before.dead_letters);
        let committed = records.saturating_sub(filtered).saturating_sub(dead_letters);
        let known = self.file.known();
        let is_at_end = self.file.is_at_end();
        let new = format!(
            "{}: {} committed, {} filtered, {}",
            counted(records, "record"),
            grouped(committed),
            grouped(filtered),
            counted(dead_letters, "dead letter")
        );
        let were = if known == 1 { "was" } else { "were" };
        let known_lines = format!("{} {were} in the ledger already", counted(known, "line"));
        let summary = match (records, known) {
            (_, 0) => new,
            (0, _) => format!("{known_lines}, 0 new"),
            (_, _) => format!("{new}; {known_lines}"),
        };
        let begin = if is_at_end { "" } else { "stopped before the end of the file; " };
        tracing::info!(records, committed, filtered, dead_letters, known, "{begin}{summary}");
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}
