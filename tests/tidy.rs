//! The source keeps its own rules: modules use only what stands above them, each outside crate and
//! each power (time, files, environment) has its home, files stay short, nothing panics.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use regex::Regex;

/// Lines of a file, its tests not counted.
const MAX_LINES: usize = 500;
/// A file that is one list, which nobody reads from end to end.
const LIST: &str = "src/limits.rs";
/// The comments begin so; what a comment names does not count.
const COMMENT: &str = "//";

/// Where an outside crate may be named: a file, or a folder with a slash at its end.
const HOMES: &[(&str, &[&str])] = &[
    // Engines and adapters: one place each, so that each can be replaced there.
    ("anyhow", &["src/command/", "src/cli/"]),
    ("axum", &["src/monitor/"]),
    ("cel", &["src/expression/"]),
    ("clap", &["src/command/", "src/cli/"]),
    ("clap_complete", &["src/cli/generate.rs"]),
    ("clap_mangen", &["src/cli/generate.rs"]),
    ("quick_junit", &["src/cli/results.rs"]),
    ("ed25519_dalek", &["src/transaction/keys.rs"]),
    ("hyper", &["src/monitor/", "src/cli/top/client.rs"]),
    ("hyper_util", &["src/monitor/"]),
    ("granit_parser", &["src/codec/yaml/scalars.rs"]),
    ("indicatif", &["src/command/output.rs"]),
    ("inferno", &["src/cli/bench/profile.rs"]),
    ("jsonpath_rust", &["src/jsonpath/"]),
    (
        "jsonschema",
        &[
            "src/contract/schema.rs",
            "src/contract/schema_bounds.rs",
            "src/contract/schema_value.rs",
        ],
    ),
    ("libm", &["src/expression/", "src/fleet/", "src/fleet.rs"]),
    ("prometheus", &["src/exposition.rs"]),
    ("ratatui", &["src/cli/top.rs", "src/cli/top/"]),
    ("prost", &["src/monitor/traces/collector.rs"]),
    ("rdkafka", RDKAFKA),
    ("serde_saphyr", &["src/codec/"]),
    ("signal_hook", &["src/main.rs", "src/cli/run.rs"]),
    ("signed_note", &["src/ledger/"]),
    ("sled", &["src/state/store.rs"]),
    ("mimalloc", &["src/main.rs"]),
    ("tikv_jemallocator", &["src/main.rs"]),
    ("tlog_tiles", &["src/ledger/"]),
    ("tokio_stream", &["src/monitor/stream.rs"]),
    (
        "tokio",
        &[
            "src/monitor/",
            "src/cli/bench/readers.rs",
            "src/cli/run.rs",
            "src/cli/top.rs",
            "src/cli/top/client.rs",
        ],
    ),
    ("tracing_subscriber", &["src/command/output.rs"]),
    // Small libraries that do one job for a few parts.
    ("reqwest", &["src/outbound/"]),
    ("ring", &["src/monitor/access/keys.rs"]),
    ("rustls_native_certs", &["src/outbound/tls.rs"]),
    ("subtle", &["src/monitor/access/"]),
    ("tokio_rustls", &["src/monitor/access/", "src/outbound/"]),
    ("webpki", &["src/monitor/access/tls.rs"]),
    ("base64", &["src/event/", "src/ledger/", "src/query/", "src/monitor/"]),
    ("compact_str", &["src/codec/json/"]),
    ("crc32c", &["src/ledger/embedded/frame.rs"]),
    ("flate2", &["src/event/body.rs"]),
    ("form_urlencoded", &["src/monitor/request.rs"]),
    ("csv", &["src/monitor/export/"]),
    ("getrandom", &["src/transaction/keys.rs", "src/app/", "src/monitor/access/tokens.rs"]),
    ("hex", &["src/codec/", "src/transaction/", "src/ledger/", "src/app/"]),
    ("jiff", &["src/event/", "src/expression/", "src/query/", "src/monitor/"]),
    ("jiter", &["src/codec/json/quick.rs"]),
    ("lz4_flex", &["src/ledger/embedded/frame.rs"]),
    ("maud", &["src/monitor/ui/"]),
    ("percent_encoding", &["src/monitor/"]),
    ("opentelemetry", &["src/monitor/traces/"]),
    ("opentelemetry_proto", &["src/monitor/traces/"]),
    ("opentelemetry_sdk", &["src/monitor/traces/"]),
    ("plotters", &["src/monitor/ui/chart.rs"]),
    ("regex", &["src/pattern.rs", "src/expression/pattern.rs", "src/mapping/"]),
    ("regex_syntax", &["src/pattern.rs"]),
    (
        "rustix",
        &["src/monitor/server.rs", "src/clock.rs", "src/disk/mod.rs", "src/cli/bench/profile.rs"],
    ),
    ("sha2", &["src/codec/", "src/input/file.rs"]),
    ("similar", &["src/contract/checks.rs", "src/mapping/testing.rs"]),
];

/// The real Kafka, and the small one for demonstrations and tests.
const RDKAFKA: &[&str] = &[
    "src/input/kafka.rs",
    "src/input/kafka/",
    "src/input/broker.rs",
    "src/input/producer.rs",
    "src/input/writer.rs",
];

/// Crates that any part may name. (`log` is named by rdkafka only; a module here has that name too.)
const ANYWHERE: &[&str] = &["log", "schemars", "serde", "serde_json", "thiserror", "tracing"];

/// What reaches out of the program, and the only places that may.
const POWERS: &[(&str, &[&str])] = &[
    (r"\bSystemTime\b|\bInstant\b", &["src/clock.rs"]),
    (r"\bstd::env::vars?\b|\benv::vars?\b|\bvar_os\b", &["src/config/secret.rs"]),
    (r"\bgetrandom\b", &["src/transaction/keys.rs", "src/app/", "src/monitor/access/tokens.rs"]),
];

/// The deterministic core: the same input gives the same bytes on every machine.
const CORE: &[&str] = &[
    "src/call.rs",
    "src/codec/",
    "src/contract/",
    "src/event/",
    "src/expression/",
    "src/jsonpath/",
    "src/ledger/block.rs",
    "src/ledger/entry.rs",
    "src/ledger/records.rs",
    "src/mapping/",
    "src/transaction/",
];

/// What the core must not name, but for the places behind each.
const OUT_OF_CORE: &[(&str, &[&str])] = &[
    (r"\bstd::fs\b|\bfs::", &["src/transaction/keys.rs", "src/codec/yaml.rs"]),
    (r"\bFile\b|\bOpenOptions\b", &["src/transaction/keys.rs", "src/codec/yaml.rs"]),
    (r"\bstd::(net|process|thread|env)\b", &[]),
    (r"\bthread::|\bsleep\b|\btokio\b|\basync\b", &[]),
];

/// What may touch files only through the disk that is made to fail in tests.
const ON_DISK: &[&str] = &[
    "src/ledger/embedded/kept.rs",
    "src/ledger/embedded/log.rs",
    "src/ledger/embedded/reader.rs",
    "src/ledger/embedded/writer.rs",
];

/// Words that mean unfinished work.
const UNFINISHED: &str = concat!("\\b(", "TO", "DO|FIX", "ME|XX", "X)\\b");

struct Input {
    /// Path from the crate's root.
    path: String,
    /// Everything.
    text: String,
    /// Lines in front of the tests, without comments.
    code: Vec<String>,
}

impl Input {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let lines: Vec<_> = text.lines().collect();
        let begins_tests = |pair: &[&str]| {
            let inner = pair[1].trim_start_matches("pub(crate) ");
            pair[0] == "#[cfg(test)]" && inner.starts_with("mod ") && inner.ends_with('{')
        };
        let is_test_file = path.ends_with("/tests.rs");
        let end = lines.windows(2).position(begins_tests).unwrap_or(lines.len());
        let end = if is_test_file { 0 } else { end };
        let without_comment =
            |line: &&str| line.split(COMMENT).next().unwrap_or_default().to_owned();
        let code = lines[..end].iter().map(without_comment).collect();
        Self { path, text, code }
    }

    fn is_in(&self, places: &[&str]) -> bool {
        let is_in = |place: &&str| match place.ends_with('/') {
            true => self.path.starts_with(*place),
            false => self.path == **place,
        };
        places.iter().any(is_in)
    }

    /// Name of the module that declares it in `lib.rs`; `main` and `lib` for these.
    fn module(&self) -> &str {
        let inner = self.path.trim_start_matches("src/");
        inner.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// `path:line` of each code line that a pattern is in.
    fn lines_with(&self, pattern: &Regex) -> Vec<String> {
        let places = (1..).zip(&self.code).filter(|(_, line)| pattern.is_match(line));
        places.map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim())).collect()
    }
}

fn files(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
}

fn under(directory: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), ending, &mut found);
    found
}

fn sources() -> Vec<Input> {
    let sources: Vec<_> = under("src", ".rs").into_iter().map(Input::read).collect();
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    sources
}

/// Fails with every violation on a line of its own.
fn none(rule: &str, violations: Vec<String>) {
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

/// The modules in the order in which `lib.rs` declares them.
fn module_order(sources: &[Input]) -> Vec<String> {
    let lib = sources.iter().find(|source| source.path == "src/lib.rs").unwrap();
    let declared = lib.code.iter().filter_map(|line| line.trim().strip_prefix("pub mod "));
    let mut order: Vec<_> = declared.map(|name| name.trim_end_matches(';').to_owned()).collect();
    assert!(order.len() > 15, "{order:?}");
    order.extend(["lib".to_owned(), "main".to_owned()]);
    order
}

/// The modules that `crate::X` and `crate::{X, …}` name.
fn named_modules(code: &str) -> Vec<String> {
    let single = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let group = Regex::new(r"\bcrate::\{").unwrap();
    let mut named: Vec<_> = single.captures_iter(code).map(|found| found[1].to_owned()).collect();
    for found in group.find_iter(code) {
        let (mut depth, mut is_first) = (1, true);
        let mut name = String::new();
        for letter in code[found.end()..].chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => is_first = true,
                'a'..='z' | '_' if depth == 1 && is_first => name.push(letter),
                ':' => is_first = false,
                _ => {}
            }
            if (!is_first || depth == 0) && !name.is_empty() {
                named.push(std::mem::take(&mut name));
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

#[test]
fn grouped_imports_are_seen() {
    let cases: [(&str, &[&str]); 3] = [
        ("use crate::ledger::Block;", &["ledger"]),
        ("use crate::{clock::Clock, state::{World, Found}};", &["clock", "state"]),
        ("crate::diagnostic::chain(&crate::config::x())", &["diagnostic", "config"]),
    ];
    for (code, expected) in cases {
        assert_eq!(named_modules(code), expected, "{code}");
    }
}

#[test]
fn a_module_uses_only_those_above_it() {
    let sources = sources();
    let order = module_order(&sources);
    let rank = |name: &str| order.iter().position(|declared| declared == name);
    let mut violations = Vec::new();
    let mut seen = 0;
    for source in &sources {
        let own = rank(source.module())
            .unwrap_or_else(|| panic!("{} is of no module of lib.rs", source.path));
        for name in named_modules(&source.code.join("\n")) {
            seen += 1;
            if rank(&name).is_some_and(|named| named > own) {
                violations.push(format!("{} names crate::{name}", source.path));
            }
        }
    }
    assert!(seen > 300, "only {seen} uses were seen");
    none("a module may use those above it in lib.rs", violations);
}

#[test]
fn each_outside_crate_has_its_home() {
    let sources = sources();
    let mut violations = Vec::new();
    for (name, homes) in HOMES {
        // `cel::…`, `use cel;`, but not `crate::cel::…`.
        let pattern = format!(r"(^|[^\w:.])(::)?{name}(::|!)|^\s*use {name}\b");
        let pattern = Regex::new(&pattern).unwrap();
        let (inside, outside): (Vec<_>, Vec<_>) =
            sources.iter().partition(|source| source.is_in(homes));
        violations.extend(outside.iter().flat_map(|source| source.lines_with(&pattern)));
        let used = inside.iter().any(|source| !source.lines_with(&pattern).is_empty());
        assert!(used, "{name} is not used where it may be: the table or the pattern is wrong");
    }
    none("an outside crate is named outside its home", violations);
}

#[test]
fn every_dependency_stands_in_the_table_and_says_why() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_")));
    let known = |name: &String| {
        HOMES.iter().any(|(home, _)| home == name) || ANYWHERE.contains(&name.as_str())
    };
    let names: Vec<_> = names.collect();
    assert!(names.len() > 25, "{names:?}");
    none("give these a home", names.into_iter().filter(|name| !known(name)).collect());
}

#[test]
fn time_environment_and_randomness_have_one_home_each() {
    let sources = sources();
    for (pattern, homes) in POWERS {
        let pattern = Regex::new(pattern).unwrap();
        let (inside, outside): (Vec<_>, Vec<_>) =
            sources.iter().partition(|source| source.is_in(homes));
        assert!(inside.iter().any(|source| !source.lines_with(&pattern).is_empty()), "{pattern}");
        let violations = outside.iter().flat_map(|source| source.lines_with(&pattern));
        none("only one place may ask for this", violations.collect());
    }
}

#[test]
fn the_core_reaches_nothing_outside() {
    let mut violations = Vec::new();
    let core: Vec<_> = sources().into_iter().filter(|source| source.is_in(CORE)).collect();
    assert!(core.len() > 40, "the core has {} files", core.len());
    for (pattern, allowed) in OUT_OF_CORE {
        let pattern = Regex::new(pattern).unwrap();
        let bound = core.iter().filter(|source| !source.is_in(allowed));
        violations.extend(bound.flat_map(|source| source.lines_with(&pattern)));
    }
    none("the core does no IO, has no threads and asks for nothing", violations);
}

#[test]
fn the_log_touches_files_through_its_disk_only() {
    let pattern = Regex::new(r"\bfs::|\bFile::|\bOpenOptions\b").unwrap();
    let log: Vec<_> = sources().into_iter().filter(|source| source.is_in(ON_DISK)).collect();
    assert_eq!(log.len(), ON_DISK.len(), "a file of the table is not there");
    let violations = log.iter().flat_map(|source| source.lines_with(&pattern)).collect();
    none("what does not go through the disk cannot be made to fail", violations);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut violations = Vec::new();
    for source in sources() {
        if source.code.len() > MAX_LINES && source.path != LIST {
            let (path, lines) = (&source.path, source.code.len());
            violations.push(format!("{path} has {lines} lines without its tests: split it"));
        }
        if !source.text.starts_with("//! ") {
            violations.push(format!("{} does not begin with what it is for", source.path));
        }
    }
    for path in under("tests", ".rs").into_iter().chain(under("benches", ".rs")) {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.starts_with("//! ") {
            violations.push(format!("{} does not say its promise", path.display()));
        }
    }
    none("files", violations);
}

#[test]
fn nothing_panics_on_purpose() {
    let pattern = r"\.unwrap\(\)|\.expect\(|\b(panic|todo|unimplemented|unreachable)!";
    let pattern = Regex::new(pattern).unwrap();
    let violations = sources().iter().flat_map(|source| source.lines_with(&pattern)).collect();
    none("outside tests nothing may panic", violations);
}

#[test]
fn nothing_is_left_unfinished() {
    let pattern = Regex::new(UNFINISHED).unwrap();
    let mut violations = Vec::new();
    let places = [
        ("src", ""),
        ("tests", ".rs"),
        ("benches", ".rs"),
        ("contracts", ".yaml"),
        ("mappings", ".yaml"),
        ("docs", ".md"),
        ("deploy", ""),
    ];
    for path in places.into_iter().flat_map(|(folder, ending)| under(folder, ending)) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            if pattern.is_match(line) {
                violations.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    none("a note of unfinished work is a defect", violations);
}
