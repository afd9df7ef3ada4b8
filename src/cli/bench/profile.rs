//! A flame graph of an end-to-end run, by Linux's own profiler.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use inferno::collapse::Collapse as _;
use inferno::collapse::perf::Folder;
use inferno::flamegraph;
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::exit::UsageError;

/// Samples a second of each processor.
const FREQUENCY: &str = "199";
/// Bytes of the stack that each sample keeps, of which its callers are found.
const STACK: &str = "dwarf,16384";
/// Time in which the profiler may refuse.
const REFUSAL: Duration = Duration::from_millis(500);

/// A profiler at work.
pub(super) struct Profile {
    perf: Child,
    samples: PathBuf,
}

impl Profile {
    /// Refuses where there is no profiler, before anything was measured.
    pub(super) fn check() -> anyhow::Result<()> {
        let needs = |error| {
            UsageError(format!("--profile needs `perf` (Debian: linux-perf) in the PATH: {error}"))
        };
        Command::new("perf").arg("--version").output().map_err(needs)?;
        Ok(())
    }

    /// Looks at this process from now on; `samples` is a scratch file.
    pub(super) fn start(samples: PathBuf) -> anyhow::Result<Self> {
        let mut perf = Command::new("perf")
            .args(["record", "--quiet", "--event", "cpu-clock", "--freq", FREQUENCY])
            .args(["--call-graph", STACK, "--pid", &std::process::id().to_string(), "--output"])
            .arg(&samples)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        std::thread::sleep(REFUSAL);
        if perf.try_wait()?.is_some() {
            let said = perf.wait_with_output()?.stderr;
            bail!(
                "`perf` may not profile this process; set kernel.perf_event_paranoid to 1 or lower. It \
                 said: {}",
                String::from_utf8_lossy(&said).trim()
            );
        }
        Ok(Self { perf, samples })
    }

    /// Ends the profiler and draws what it saw.
    pub(super) fn draw(self, out: &Path) -> anyhow::Result<()> {
        let Self { perf, samples } = self;
        let id = i32::try_from(perf.id()).ok().and_then(Pid::from_raw);
        kill_process(id.context("`perf` reports no number")?, Signal::INT)?;
        let ended = perf.wait_with_output()?;
        let mut script = Command::new("perf")
            .args(["script", "--no-inline", "--input"])
            .arg(&samples)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stacks = script.stdout.take().context("`perf script` prints nowhere")?;
        let mut folded = Vec::new();
        Folder::default().collapse(BufReader::new(stacks), &mut folded)?;
        script.wait()?;
        if folded.is_empty() {
            bail!("`perf` has no samples: {}", String::from_utf8_lossy(&ended.stderr).trim());
        }
        let mut options = flamegraph::Options::default();
        // What perf weighs a sample of its clock by.
        options.count_name = "ns".to_owned();
        options.title = "ledgerline bench: end to end, by thread".to_owned();
        let file = File::create(out).with_context(|| format!("writing {}", out.display()))?;
        let mut file = BufWriter::new(file);
        flamegraph::from_reader(&mut options, folded.as_slice(), &mut file)?;
        file.flush().with_context(|| format!("writing {}", out.display()))
    }
}
