//! `NOTICES.md` names everything that is linked into the program, under the licence that it is used
//! under, with the texts that must go with it. `.ci/notices` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Set to write the file anew.
const WRITE: &str = "LEDGERLINE_WRITE_NOTICES";
/// The machine that programs are handed on for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The licence that is taken where there is a choice: its text is in `LICENSE`.
const OWN: &str = "Apache-2.0";
/// Licences under which nothing may be linked in.
const REFUSED: [&str; 5] = ["CDDL", "GPL", "EUPL", "SSPL", "BUSL"];

/// Libraries in C that crates build and link in: what each is, the crate with its source, and its
/// licence's files there.
const BUNDLED: [(&str, &str, &[&str]); 4] = [
    (
        "librdkafka, BSD-2-Clause and the licences of its parts",
        "rdkafka-sys",
        &["librdkafka/LICENSES.txt"],
    ),
    ("OpenSSL, Apache-2.0", "openssl-src", &[]),
    ("zstd, BSD-3-Clause", "zstd-sys", &["zstd/LICENSE"]),
    ("jemalloc, BSD-2-Clause", "tikv-jemalloc-sys", &["jemalloc/COPYING"]),
];

/// A package of `cargo metadata`.
struct Package {
    name: String,
    version: String,
    licence: String,
    repository: String,
    folder: PathBuf,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// All packages by their ids.
fn packages(metadata: &Value) -> BTreeMap<&str, &Value> {
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (text(package, "id"), package)).collect()
}

/// True if a package runs while others are built, and is in none of them.
fn is_macro(package: &Value) -> bool {
    let mut targets = package["targets"].as_array().unwrap().iter();
    targets.any(|target| target["kind"] == serde_json::json!(["proc-macro"]))
}

/// Ids of the packages that are linked in: what the program depends on, and those on in turn, but not
/// for building or testing them.
fn linked<'a>(metadata: &'a Value, packages: &BTreeMap<&'a str, &'a Value>) -> BTreeSet<&'a str> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (text(node, "id"), node)).collect();
    let own = text(&metadata["resolve"], "root");
    let (mut linked, mut left) = (BTreeSet::new(), vec![own]);
    while let Some(id) = left.pop() {
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            let id = text(dependency, "pkg");
            let is_linked = kinds.iter().any(|kind| kind["kind"].is_null());
            if is_linked && !is_macro(packages[id]) && linked.insert(id) {
                left.push(id);
            }
        }
    }
    linked
}

impl Package {
    fn of(package: &Value) -> Self {
        let manifest = Path::new(text(package, "manifest_path"));
        Self {
            name: text(package, "name").to_owned(),
            version: text(package, "version").to_owned(),
            // Old manifests write `MIT/Apache-2.0`.
            licence: text(package, "license").replace('/', " OR "),
            repository: text(package, "repository").to_owned(),
            folder: manifest.parent().unwrap().to_owned(),
        }
    }

    /// True if it is used under the program's own licence alone.
    fn is_under_own(&self) -> bool {
        let mut all = self.licence.split(" AND ");
        all.all(|part| part.trim_matches(['(', ')']).split(" OR ").any(|one| one == OWN))
    }

    /// Names of its own files with texts of licences.
    fn texts(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.folder).unwrap();
        let files = names.map(Result::unwrap).filter(|entry| entry.path().is_file());
        let names = files.map(|entry| entry.file_name().into_string().unwrap());
        let is_text = |name: &String| {
            let name = name.to_ascii_uppercase();
            let begins = ["LICENSE", "LICENCE", "COPYING", "UNLICENSE", "COPYRIGHT"];
            begins.iter().any(|begin| name.starts_with(begin)) && !name.contains("APACHE")
        };
        let mut names: Vec<_> = names.filter(is_text).collect();
        names.sort();
        names
    }
}

/// A string as a block of Markdown.
fn block(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("```text\n{}\n```\n", lines.join("\n").trim_matches('\n'))
}

fn notices(metadata: &Value) -> String {
    let packages = packages(metadata);
    let linked = linked(metadata, &packages);
    let mut all: Vec<_> = linked.iter().map(|id| Package::of(packages[id])).collect();
    all.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    assert!(all.len() > 150, "only {}", all.len());
    let mut notices = String::from(
        "# Notices\n\nWritten by `.ci/notices` from `cargo metadata`; a test holds it to that.\n\n\
         Ledgerline is under the Apache License 2.0, whose text is in `LICENSE`. The packages below \
         are linked into it. Where one may be used under that licence too, it is; the texts of all \
         others follow.\n\n| package | version | licence | source |\n|---|---|---|---|\n",
    );
    for Package { name, version, licence, repository, .. } in &all {
        writeln!(notices, "| {name} | {version} | {licence} | {repository} |").unwrap();
    }
    notices.push_str("\n## Libraries in C\n");
    for (what, crate_name, files) in BUNDLED {
        let found = packages.values().find(|package| text(package, "name") == crate_name);
        let package = Package::of(found.unwrap());
        write!(notices, "\n### {what} (in {crate_name} {})\n\n", package.version).unwrap();
        for file in files {
            notices.push_str(&block(&package.folder.join(file)));
        }
    }
    notices.push_str("\n## Texts\n");
    let mut texts = BTreeMap::<String, Vec<String>>::new();
    for package in all.iter().filter(|package| !package.is_under_own()) {
        let files = package.texts();
        let mut blocks: Vec<_> =
            files.iter().map(|file| block(&package.folder.join(file))).collect();
        if blocks.is_empty() {
            blocks.push(format!("Under {}; the package holds no text.\n", package.licence));
        }
        texts.entry(blocks.concat()).or_default().push(package.name.clone());
    }
    for (text, names) in texts {
        write!(notices, "\n### {}\n\n{text}", names.join(", ")).unwrap();
    }
    notices
}

#[test]
fn the_notices_are_those_of_what_is_linked_in() {
    let metadata = metadata();
    let notices = notices(&metadata);
    let path = root().join("NOTICES.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, notices).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(path).unwrap();
    let differing = kept.lines().zip(notices.lines()).find(|(kept, now)| kept != now);
    assert_eq!(differing, None, "NOTICES.md is old: run .ci/notices");
    assert!(kept == notices, "NOTICES.md is old: run .ci/notices");
}

#[test]
fn nothing_is_linked_in_that_may_not_be() {
    let metadata = metadata();
    let packages = packages(&metadata);
    for id in linked(&metadata, &packages) {
        let package = Package::of(packages[id]);
        let named = format!("{} {}: {}", package.name, package.version, package.licence);
        assert!(!package.licence.is_empty(), "{named}");
        let refused = |part: &str| REFUSED.iter().any(|refused| part.contains(refused));
        let is_free = |part: &str| part.split(" OR ").any(|one| !refused(one));
        assert!(package.licence.split(" AND ").all(is_free), "{named}");
    }
}

#[test]
fn the_licence_is_whole() {
    let text = std::fs::read_to_string(root().join("LICENSE")).unwrap();
    for part in ["Version 2.0, January 2004", "TERMS AND CONDITIONS", "END OF TERMS AND CONDITIONS"]
    {
        assert!(text.contains(part), "{part}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("license = \"{OWN}\"")));
}
