//! The documentation can be followed: every relative link and anchor leads somewhere, every command
//! names a subcommand and options that exist, every test that it names is there, the README stays
//! short, and its taste is valid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use regex::Regex;

/// Most lines of the README: the rest belongs into a page of its own.
const README_LINES: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages by their paths: those beside the README, but for the licences of others, and docs/.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_page = path.extension().is_some_and(|ending| ending == "md");
            if is_page && !path.ends_with("NOTICES.md") {
                let text = std::fs::read_to_string(&path).unwrap();
                pages.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    assert!(pages.len() > 20, "{:?}", pages.keys());
    pages
}

/// A page without its fenced blocks, and the lines of these.
fn split(page: &str) -> (String, Vec<&str>) {
    let (mut prose, mut fenced, mut inside) = (String::new(), Vec::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            fenced.push(line);
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    assert!(!inside, "a block is not closed");
    (prose, fenced)
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let (mut anchors, mut seen) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
    for line in split(page).0.lines() {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let slug: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        let ending = if *count == 0 { String::new() } else { format!("-{count}") };
        anchors.insert(slug + &ending);
        *count += 1;
    }
    anchors
}

/// Dead links of a page.
fn dead_links(path: &Path, text: &str, pages: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let (prose, _) = split(text);
    let mut dead = Vec::new();
    for found in link.captures_iter(&prose) {
        let target = &found[1];
        if target.contains("://") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = match file {
            "" => path.to_owned(),
            file => normal(&path.parent().unwrap().join(file)),
        };
        let known = pages.get(&file).map(|page| anchors(page));
        let is_there = root().join(&file).exists();
        if !is_there || (!anchor.is_empty() && !known.is_some_and(|known| known.contains(anchor))) {
            dead.push(format!("{}: {target}", path.display()));
        }
    }
    dead
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            assert!(normal.pop(), "{} leaves the repository", path.display());
        } else {
            normal.push(part);
        }
    }
    normal
}

#[test]
fn links_and_anchors_resolve() {
    let pages = pages();
    let dead: Vec<_> =
        pages.iter().flat_map(|(path, text)| dead_links(path, text, &pages)).collect();
    assert!(dead.is_empty(), "{dead:#?}");
    // The check itself sees what is dead.
    let page = "[a](docs/none.md) [b](docs/kafka.md#none) [c](#none) [d](docs/kafka.md#settings)";
    assert_eq!(dead_links(Path::new("README.md"), page, &pages).len(), 3);
}

/// The commands in a page: lines of its blocks that run the program, and code in its prose that
/// begins with its name.
fn commands(page: &str) -> Vec<String> {
    let (prose, fenced) = split(page);
    let inline = Regex::new(r"`(ledgerline [a-z][^`]*)`").unwrap();
    let mut commands: Vec<_> =
        inline.captures_iter(&prose).map(|found| found[1].replace('\n', " ")).collect();
    let joined = fenced.join("\n").replace("\\\n", " ");
    let start = Regex::new(
        r"(?m)(?:^\s*|\| |ExecStart=)(?:\S*/)?(?:ledgerline|cargo run --release --) ([a-z][^\n#|>&]*)",
    )
    .unwrap();
    commands.extend(start.captures_iter(&joined).map(|found| format!("ledgerline {}", &found[1])));
    commands
}

/// The help of subcommands, asked for once each.
#[derive(Default)]
struct Helps(BTreeMap<Vec<String>, Option<String>>);

impl Helps {
    fn of(&mut self, path: &[&str]) -> Option<&str> {
        let key: Vec<_> = path.iter().map(|&part| part.to_owned()).collect();
        let help = self.0.entry(key).or_insert_with(|| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerline"));
            let output = command.args(path).arg("--help").output().unwrap();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        });
        help.as_deref()
    }

    /// An unknown part of a command.
    fn diagnostic(&mut self, command: &str) -> Option<String> {
        let words: Vec<_> = command.split_whitespace().skip(1).collect();
        let mut path = vec![words[0]];
        if let Some(help) = self.of(&path).map(str::to_owned) {
            let nested = words.get(1).filter(|word| help.contains(&format!("\n  {word} ")));
            path.extend(nested);
        }
        let Some(help) = self.of(&path) else { return Some(format!("no subcommand: {command}")) };
        let option = Regex::new(r"^(--?[a-zA-Z][a-z-]*)").unwrap();
        let named = words.iter().filter_map(|word| Some(option.captures(word)?[1].to_owned()));
        let known = |name: &String| {
            let ends =
                |at: usize| !help[at..].starts_with(|c: char| c.is_alphanumeric() || c == '-');
            help.match_indices(name.as_str()).any(|(at, name)| ends(at + name.len()))
        };
        let unknown: Vec<_> = named.filter(|name| !known(name)).collect();
        (!unknown.is_empty()).then(|| format!("no option {unknown:?}: {command}"))
    }
}

#[test]
fn commands_and_their_options_exist() {
    let mut helps = Helps::default();
    let (mut count, mut wrong) = (0, Vec::new());
    for (path, text) in pages() {
        for command in commands(&text) {
            count += 1;
            wrong.extend(
                helps
                    .diagnostic(&command)
                    .map(|diagnostic| format!("{}: {diagnostic}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 60, "{count} commands were found");
    let bad = ["ledgerline nothing", "ledgerline verify ledger --keys x", "ledgerline state -z"];
    for command in bad {
        assert!(helps.diagnostic(command).is_some(), "{command}");
    }
}

#[test]
fn tests_and_files_that_it_names_exist() {
    let name = Regex::new(r"`(?:tests/)?([a-z_]+\.rs)`").unwrap();
    let file =
        Regex::new(r"`((?:src|tests|docs|deploy|benches|\.ci)/[A-Za-z0-9_./-]+(?:\.[a-z]+|/))`")
            .unwrap();
    let (mut names, mut absent) = (0, Vec::new());
    for (path, text) in pages() {
        let of_page = path.to_string_lossy();
        let in_tests = name.captures_iter(&text).map(|found| format!("tests/{}", &found[1]));
        let in_tests = in_tests.filter(|_| of_page == "docs/guarantees.md");
        let named = file.captures_iter(&text).map(|found| found[1].to_owned());
        for found in in_tests.chain(named) {
            names += 1;
            if !root().join(&found).exists() {
                absent.push(format!("{of_page}: {found}"));
            }
        }
    }
    assert!(absent.is_empty(), "{absent:#?}");
    assert!(names > 40, "{names}");
}

#[test]
fn every_page_is_in_the_index() {
    let pages = pages();
    let index = &pages[Path::new("docs/README.md")];
    let missing: Vec<_> = pages
        .keys()
        .filter_map(|path| path.strip_prefix("docs").ok())
        .filter(|name| *name != Path::new("README.md"))
        .filter(|name| !index.contains(&format!("]({})", name.display())))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_readme_is_short_and_its_taste_is_valid() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(lines < README_LINES, "the README has {lines} lines; move some of it into docs/");
    let block = Regex::new(r"(?s)```yaml\n(mapping:.*?)---\n(contract:.*?)```").unwrap();
    let taste = block.captures(&readme).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("mappings")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("mappings/pump.yaml", &taste[1]);
    write("contract.yaml", &taste[2]);
    write(
        "ledgerline.yaml",
        "ledger: { name: example.com/pumps, directory: ledger, key: ledger.pem }\n\
         source: { file: { path: '-' } }\nmappings: [mappings]\ncontracts: [contract.yaml]\n",
    );
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerline"));
        command.current_dir(folder.path()).args(arguments).assert()
    };
    run(&["keygen", "ledger.pem"]).success();
    let checked = run(&["check"]).success();
    let out = String::from_utf8_lossy(&checked.get_output().stdout).into_owned();
    assert!(out.ends_with("1 mapping and 1 contract: no error, 0 warnings\n"), "{out}");
}

#[test]
fn every_command_is_listed() {
    let page = std::fs::read_to_string(root().join("docs/commands.md")).unwrap();
    let mut helps = Helps::default();
    let help = helps.of(&[]).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    let table: String = page.lines().filter(|line| line.starts_with("| `")).collect();
    let missing: Vec<_> =
        commands.iter().filter(|name| !table.contains(&format!("`{name}`"))).collect();
    assert!(commands.len() > 20 && missing.is_empty(), "{missing:?} of {commands:?}");
}

#[test]
fn the_table_of_modules_is_that_of_the_library() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let row = Regex::new(r"(?m)^\| ((?:`[a-z]+`(?:, )?)+) \|").unwrap();
    let name = Regex::new(r"`([a-z]+)`").unwrap();
    let listed: Vec<_> = row
        .captures_iter(&page)
        .flat_map(|found| {
            let names = found.get(1).unwrap().as_str();
            name.captures_iter(names).map(|found| found[1].to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let declared = Regex::new(r"(?m)^pub mod ([a-z]+);").unwrap();
    let declared: Vec<_> =
        declared.captures_iter(&library).map(|found| found[1].to_owned()).collect();
    assert_eq!(listed, declared);
}
