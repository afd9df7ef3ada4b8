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

/// The home of each outside crate: a file, or a folder with a slash at its end.
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
    ("tikv_jemallocator", &["src/main.rs"]),
    ("tlog_tiles", &["src/ledger/"]),
    ("tokio_stream", &["src/monitor/api/stream.rs"]),
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
    ("base64", &["src/event/", "src/mapping/form/", "src/ledger/", "src/query/", "src/monitor/"]),
    ("compact_str", &["src/codec/json/"]),
    ("crc32c", &["src/ledger/embedded/frame.rs"]),
    ("flate2", &["src/event/body/compression.rs"]),
    ("form_urlencoded", &["src/monitor/http/request.rs"]),
    ("csv", &["src/monitor/export/"]),
    (
        "getrandom",
        &["src/transaction/keys.rs", "src/input/kafka/member.rs", "src/monitor/access/tokens.rs"],
    ),
    (
        "hex",
        &[
            "src/codec/",
            "src/input/kafka/member.rs",
            "src/mapping/form/",
            "src/transaction/",
            "src/ledger/",
        ],
    ),
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
        &[
            "src/monitor/http/server.rs",
            "src/clock.rs",
            "src/disk/mod.rs",
            "src/cli/bench/profile.rs",
        ],
    ),
    ("sha2", &["src/codec/", "src/input/file/lines.rs"]),
    ("similar", &["src/contract/checks.rs", "src/mapping/testing/"]),
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

/// Access to time, environment and randomness, and the only places that may have it.
const POWERS: &[(&str, &[&str])] = &[
    (r"\bSystemTime\b|\bInstant\b", &["src/clock.rs"]),
    (r"\bstd::env::vars?\b|\benv::vars?\b|\bvar_os\b", &["src/config/secret.rs"]),
    (
        r"\bgetrandom\b",
        &["src/transaction/keys.rs", "src/input/kafka/member.rs", "src/monitor/access/tokens.rs"],
    ),
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

/// Names forbidden in the core, except in the given places.
const OUT_OF_CORE: &[(&str, &[&str])] = &[
    (r"\bstd::fs\b|\bfs::", &["src/transaction/keys.rs", "src/codec/yaml.rs"]),
    (r"\bFile\b|\bOpenOptions\b", &["src/transaction/keys.rs", "src/codec/yaml.rs"]),
    (r"\bstd::(net|process|thread|env)\b", &[]),
    (r"\bthread::|\bsleep\b|\btokio\b|\basync\b", &[]),
];

/// Files that may use the file system only through the disk that tests make fail.
const ON_DISK: &[&str] = &[
    "src/ledger/embedded/kept.rs",
    "src/ledger/embedded/log.rs",
    "src/ledger/embedded/reader.rs",
    "src/ledger/embedded/writer.rs",
];

/// Code that opens a log: the wiring, the simulation, and the measurement of the log alone.
const OPENS_A_LOG: &[&str] =
    &["src/ledger/", "src/app/", "src/simulation/life.rs", "src/cli/bench/bare.rs"];

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
fn the_log_is_named_only_by_what_opens_one() {
    let pattern = Regex::new(r"\bledger::embedded\b|\bembedded::(open|log|frame)\b").unwrap();
    let (inside, outside): (Vec<_>, Vec<_>) =
        sources().into_iter().partition(|source| source.is_in(OPENS_A_LOG));
    assert!(inside.iter().filter(|source| !source.lines_with(&pattern).is_empty()).count() > 4);
    let violations = outside.iter().flat_map(|source| source.lines_with(&pattern)).collect();
    none("name `ledger::…`; the log itself is for what opens one", violations);
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

/// Doc comments that still open with a relative clause ("What the block holds"). Write a noun or a
/// verb first ("Contents of the block") and lower this with each one that is gone.
const RELATIVE_OPENINGS: usize = 0;
/// Module headers among them.
const RELATIVE_HEADERS: usize = 0;
/// Messages that say "is no number" for "is not a number", "stands twice" for "duplicate".
const AWKWARD_MESSAGES: usize = 0;
/// Phrases that have a plain replacement; see the list.
const OLD_PHRASES: usize = 0;

/// The phrases, as patterns. A test's own table of them does not count.
const PHRASES: &[&str] = &[
    r"\bAll is well\b",
    r"(?i)\brecords are taken in\b",
    r"\bFrom event to state\b",
    r"(?i)\brecords that wait\b",
    r"(?i)\bwhere it reads\b",
    r#""A second""#,
    r#""Made""#,
    r"(?i)\bno mapping asks\b",
    r"(?i)\bthe way it came\b",
    r"(?i)\bwhat it changed\b",
    r"(?i)\b(calls?|submitted) by hand\b",
    r"(?i)\b(would become|becomes|became) of\b",
    r"\bYou may look\b",
    r"(?i)\d\}? ?m?s in the middle\b",
    r"\bneeds most\b",
    r"\btakes these in\b",
    r"(?i)\bspoken to\b",
    r"\bfn (un)?like\b",
    r"\b(struct|enum|type) (Stand|Misfit)\b",
];

/// Each string literal in front of a file's tests, with its line.
fn literals(source: &Input) -> Vec<(usize, String)> {
    let token = r##"(?s)//[^\n]*|'(?:\\.[^']*|[^'\\])'|r#".*?"#|r"[^"]*"|"(?:\\.|[^"\\])*""##;
    let token = Regex::new(token).unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let lines: Vec<_> = source.text.lines().take(source.code.len()).collect();
    let text = lines.join("\n");
    let strings = token.find_iter(&text).filter(|found| found.as_str().ends_with(['"', '#']));
    let strings = strings.filter(|found| found.as_str().starts_with(['"', 'r']));
    let at = |start: usize| text[..start].matches('\n').count() + 1;
    let whole = |found: &str| continued.replace_all(found, "").into_owned();
    strings.map(|found| (at(found.start()), whole(found.as_str()))).collect()
}

/// `path:line: message` of each message in words that style rules out.
fn awkward_messages(source: &Input) -> Vec<String> {
    let fine = Regex::new(r"\b[Tt]here (is|are|was|were) no\b|\b(is|are) no longer\b").unwrap();
    let awkward = r"\b(is|are|was|were) (no|none)\b|\b(is|are|was) not there\b|\bcannot stand\b";
    let standing = r"\bstands? (twice|in|within|here|above|behind|below|at|between)\b";
    let awkward = Regex::new(&format!("{awkward}|{standing}")).unwrap();
    let literals = literals(source).into_iter();
    let found = literals.filter(|(_, text)| awkward.is_match(&fine.replace_all(text, "")));
    found.map(|(line, text)| format!("{}:{line}: {text}", source.path)).collect()
}

/// `path:line: comment` of each doc comment whose first line opens with a relative clause.
fn relative_openings(source: &Input) -> Vec<String> {
    let relative = r"^\s*//[/!]\s*(What|Where|Whom|Whose|How|Which|Who|When|Whether)\b";
    let (relative, doc) = (Regex::new(relative).unwrap(), Regex::new(r"^\s*//[/!]").unwrap());
    let mut found = Vec::new();
    let mut previous = "";
    for (number, line) in (1..).zip(source.text.lines()) {
        if relative.is_match(line) && !doc.is_match(previous) {
            found.push(format!("{}:{number}: {}", source.path, line.trim()));
        }
        previous = line;
    }
    found
}

/// `path:line: text` of each phrase that has a plain replacement, in everything people read.
fn old_phrases() -> Vec<String> {
    let pattern = Regex::new(&PHRASES.join("|")).unwrap();
    let places = [
        ("src", ".rs"),
        ("tests", ".rs"),
        ("contracts", ".yaml"),
        ("mappings", ".yaml"),
        ("docs", ".md"),
        ("deploy", ""),
        ("README.md", ""),
    ];
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (place, ending) in places {
        let mut paths = under(place, ending);
        if root.join(place).is_file() {
            paths.push(root.join(place));
        }
        paths.retain(|path| !path.ends_with("tests/tidy.rs"));
        for path in paths {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = (1..).zip(text.lines()).filter(|(_, line)| pattern.is_match(line));
            found
                .extend(lines.map(|(number, line)| format!("{}:{number}: {line}", path.display())));
        }
    }
    found
}

/// Fails when a count rises, and when it fell without its constant.
fn only_falls(rule: &str, found: &[String], constant: usize) {
    let count = found.len();
    assert!(count <= constant, "{count}, at most {constant}: {rule}:\n{}", found.join("\n"));
    assert!(count == constant, "{count} are left: lower the constant ({constant}) of: {rule}");
}

#[test]
fn prose_becomes_plainer_and_never_less_plain() {
    let everywhere = ["src", "tests", "benches", "fuzz/targets"];
    let sources: Vec<_> = everywhere.iter().flat_map(|place| under(place, ".rs")).collect();
    let sources: Vec<_> = sources.into_iter().map(Input::read).collect();
    let openings: Vec<_> = sources.iter().flat_map(relative_openings).collect();
    let is_header = |place: &&String| place.contains(".rs:1: //!");
    let headers: Vec<_> = openings.iter().filter(is_header).cloned().collect();
    let own = sources.iter().filter(|source| source.path.starts_with("src/"));
    let messages: Vec<_> = own.flat_map(awkward_messages).collect();
    only_falls("module headers open with a noun or a verb", &headers, RELATIVE_HEADERS);
    only_falls("doc comments open with a noun or a verb", &openings, RELATIVE_OPENINGS);
    only_falls(
        "messages say \"is not a …\", \"duplicate\", \"not found\"",
        &messages,
        AWKWARD_MESSAGES,
    );
    only_falls("phrases with a plain replacement", &old_phrases(), OLD_PHRASES);
}

#[test]
fn awkward_prose_is_seen() {
    let input = |text: &str| Input {
        path: "src/x.rs".to_owned(),
        text: text.to_owned(),
        code: text.lines().map(str::to_owned).collect(),
    };
    let messages = |text: &str| awkward_messages(&input(text)).len();
    for text in ["\"`{0}` is no number\"", "\"key \\\n   stands twice\"", "r#\"it is not there\"#"]
    {
        assert_eq!(messages(text), 1, "{text}");
    }
    for text in ["\"there is no `{0}`\"", "// is no \"comment\"", "'\"' \"no longer\"", "\"one\""] {
        assert_eq!(messages(text), 0, "{text}");
    }
    let openings = |text: &str| relative_openings(&input(text)).len();
    assert_eq!(openings("/// What it holds.\nstruct A;\n//! Where\n"), 2);
    assert_eq!(openings("/// Contents.\n/// What it holds.\n// What\n"), 0);
}
