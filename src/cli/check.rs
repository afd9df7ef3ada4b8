//! `ledgerline check`, `test` and `schema`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::app::preflight::preflight;
use crate::cli::{CONFIG_NAME, ConfigArgs, ExitStatus, results};
use crate::codec::yaml;
use crate::command::output::{Progress, line, note};
use crate::config::{Checked, Config, cross_check, definitions, texts, yaml_files};
use crate::contract::ContractSet;
use crate::diagnostic::{Diagnostic, Place, Severity, TestResult};
use crate::mapping::{MappingSet, TestInputs};
use crate::query::json::to_text;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Mapping and contract files, or directories of them, to be checked by themselves; or one
    /// configuration, or a directory with a `ledgerline.yaml`, in place of `--config`.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON object on standard output: counts, and each diagnostic with its place.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Mapping and contract files, or directories of them; or one configuration, or a directory with
    /// a `ledgerline.yaml`. Without any: the files that the configuration names, or else `mappings`
    /// and `contracts`.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The configuration whose identity methods and body format the records of tests are read with;
    /// without it `ledgerline.yaml` here. Where there is neither: identity `auto`, and JSON.
    #[arg(short, long, env = "LEDGERLINE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object on standard output: counts, diagnostics, and each test with its outcome.
    #[arg(long)]
    pub json: bool,
    /// Also write the results into this file, in the XML form of JUnit that CI servers read.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of which file.
    #[arg(value_enum)]
    pub form: Form,
}

/// The forms of our files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// `ledgerline.yaml`.
    Config,
    /// A mapping file.
    Mapping,
    /// A contract file.
    Contract,
}

/// Prints diagnostics on standard error.
pub fn print_diagnostics(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        let colored = std::io::stderr().is_terminal();
        let (color, end) = match (colored, diagnostic.severity) {
            (false, _) => ("", ""),
            (true, Severity::Error) => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, Severity::Warning) => ("\u{1b}[33m", "\u{1b}[0m"),
        };
        note(format!("{color}{diagnostic}{end}"));
    }
}

/// The status for a configuration that was refused.
pub fn refused(config: &Path) -> ExitStatus {
    if config.exists() { ExitStatus::Config } else { ExitStatus::NoInput }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Checks a configuration and all that it names, or mapping and contract files by themselves.
pub fn check(args: &CheckArgs) -> anyhow::Result<ExitStatus> {
    let found;
    let config = match args.paths.as_slice() {
        [] => args.config.path(),
        [path] if !holds_definitions(path) => path,
        paths => {
            found = only(paths).and_then(configuration_in);
            match &found {
                Some(config) => config,
                None => return check_definitions(paths, args.json),
            }
        }
    };
    let mut checked = crate::config::load(config);
    if let Some(found) = checked.config.as_ref().or(checked.refused.as_ref()) {
        let mut progress = Progress::new();
        let observe = &mut |doing, done, all| progress.show(doing, done, all);
        let more = preflight(config, found, observe);
        if more.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            checked.config = None;
        }
        checked.diagnostics.extend(more);
    }
    print_checked(&checked, args.json)?;
    Ok(if checked.config.is_some() { ExitStatus::Ok } else { refused(config) })
}

/// The path, where there is only one.
fn only(paths: &[PathBuf]) -> Option<&Path> {
    if let [path] = paths { Some(path) } else { None }
}

/// The configuration that a path is, or that its directory holds.
fn configuration_in(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.join(CONFIG_NAME)).filter(|config| config.is_file());
    }
    let is_one = |text: String| text.lines().any(|line| line.starts_with("ledger:"));
    (path.is_file() && yaml::read(path).is_ok_and(is_one)).then(|| path.to_owned())
}

/// True if a path is a directory or a file of mappings or contracts.
fn holds_definitions(path: &Path) -> bool {
    let is_definition = |text: String| {
        text.lines().any(|line| line.starts_with("mapping:") || line.starts_with("contract:"))
    };
    path.is_dir() || yaml::read(path).is_ok_and(is_definition)
}

/// Checks mappings and contracts by themselves, and against each other as far as they are there.
fn check_definitions(paths: &[PathBuf], as_json: bool) -> anyhow::Result<ExitStatus> {
    let mut diagnostics = Vec::new();
    let (mapping_texts, contract_texts) = read_definitions(paths, &mut diagnostics);
    let (mappings, more) = MappingSet::from_texts(&mapping_texts);
    diagnostics.extend(more);
    let (contracts, more) = ContractSet::load(&contract_texts);
    diagnostics.extend(more);
    diagnostics.extend(cross_check(&mappings, &contracts, false));
    diagnostics.sort_by_key(|diagnostic| (diagnostic.file.clone(), diagnostic.place));
    let is_sound = results::count(&diagnostics, Severity::Error) == 0;
    let counts = (mappings.mappings.len(), contracts.iter().count());
    print_diagnostics_and_counts(&diagnostics, is_sound.then_some(counts), as_json)?;
    Ok(if is_sound { ExitStatus::Ok } else { ExitStatus::Config })
}

fn print_checked(checked: &Checked, as_json: bool) -> anyhow::Result<()> {
    let count = |config: &Config| (config.mappings.mappings.len(), config.contracts.iter().count());
    print_diagnostics_and_counts(&checked.diagnostics, checked.config.as_ref().map(count), as_json)
}

/// Prints diagnostics, and how many mappings and contracts are sound.
fn print_diagnostics_and_counts(
    diagnostics: &[Diagnostic],
    definitions: Option<(usize, usize)>,
    as_json: bool,
) -> anyhow::Result<()> {
    let errors = results::count(diagnostics, Severity::Error);
    let warnings = results::count(diagnostics, Severity::Warning);
    if as_json {
        let mut object = json!({
            "errors": errors,
            "warnings": warnings,
            "diagnostics": results::diagnostics(diagnostics),
        });
        if let Some((mappings, contracts)) = definitions {
            (object["mappings"], object["contracts"]) = (json!(mappings), json!(contracts));
        }
        return line(to_text(&object));
    }
    print_diagnostics(diagnostics);
    let warnings = counted(warnings, "warning");
    match definitions {
        Some((mappings, contracts)) => {
            let (mappings, contracts) =
                (counted(mappings, "mapping"), counted(contracts, "contract"));
            line(format!("{mappings} and {contracts}: no error, {warnings}"))
        }
        None => line(format!("{}, {warnings}", counted(errors, "error"))),
    }
}

/// Runs the tests in mapping and contract files.
pub fn test(args: &TestArgs) -> anyhow::Result<ExitStatus> {
    let mut diagnostics = Vec::new();
    let Sources { mappings, contracts, inputs } = sources(args, &mut diagnostics);
    let (mappings, more) = MappingSet::from_texts(&mappings);
    diagnostics.extend(more);
    let (contracts, more) = ContractSet::load(&contracts);
    diagnostics.extend(more);
    let is_usable = results::count(&diagnostics, Severity::Error) == 0;
    let mut tested = Vec::new();
    if is_usable {
        tested.extend(mappings.run_tests_with(&inputs));
        tested.extend(contracts.run_tests());
    }
    if let Some(path) = &args.junit {
        results::write_junit(path, &diagnostics, &tested)?;
    }
    let failed = tested.iter().filter(|result| result.failure.is_some()).count();
    if args.json {
        line(to_text(&json!({
            "passed": tested.len() - failed,
            "failed": failed,
            "diagnostics": results::diagnostics(&diagnostics),
            "tests": results::tests(&tested),
        })))?;
    } else {
        print_diagnostics(&diagnostics);
        if is_usable {
            print_results(&tested, failed)?;
        }
    }
    Ok(match (is_usable, failed) {
        (false, _) => ExitStatus::Config,
        (true, 0) => ExitStatus::Ok,
        (true, _) => ExitStatus::Data,
    })
}

fn print_results(results: &[TestResult], failed: usize) -> anyhow::Result<()> {
    for result in results {
        let TestResult { file, place, definition, test, failure } = result;
        let mark = if failure.is_none() { "ok  " } else { "FAIL" };
        line(format!("{mark} {definition}: {test}"))?;
        if let Some(difference) = failure {
            line(format!("     {}:{}:{}", file.display(), place.line, place.column))?;
            for text in difference.lines() {
                line(format!("     {text}"))?;
            }
        }
    }
    line(format!("{} passed, {failed} failed", results.len() - failed))
}

type Texts = Vec<(PathBuf, String)>;

/// The definitions to be tested, and how the records of their tests are read.
struct Sources {
    mappings: Texts,
    contracts: Texts,
    inputs: TestInputs,
}

/// Finds what `test` was asked for.
fn sources(args: &TestArgs, diagnostics: &mut Vec<Diagnostic>) -> Sources {
    let named = only(&args.paths).and_then(configuration_in);
    let is_whole = args.paths.is_empty() || named.is_some();
    let here = Path::new(CONFIG_NAME);
    let config = named.or_else(|| args.config.clone());
    let config = config.or_else(|| here.is_file().then(|| here.to_owned()));
    let Some(config) = config else {
        let paths = match args.paths.is_empty() {
            true => ["mappings", "contracts"].map(PathBuf::from).to_vec(),
            false => args.paths.clone(),
        };
        let (mappings, contracts) = read_definitions(&paths, diagnostics);
        return Sources { mappings, contracts, inputs: TestInputs::default() };
    };
    let Some(found) = definitions(&config, diagnostics) else {
        return Sources {
            mappings: Texts::new(),
            contracts: Texts::new(),
            inputs: TestInputs::default(),
        };
    };
    let (mappings, contracts) = match is_whole {
        true => (texts(&found.mappings, diagnostics), texts(&found.contracts, diagnostics)),
        false => read_definitions(&args.paths, diagnostics),
    };
    Sources { mappings, contracts, inputs: found.inputs }
}

/// Reads files and sorts them into mappings and contracts by what they say they are.
fn read_definitions(paths: &[PathBuf], diagnostics: &mut Vec<Diagnostic>) -> (Texts, Texts) {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir().then(|| yaml_files(path)) {
            None => files.push(path.clone()),
            Some(Ok(found)) => files.extend(found),
            Some(Err(error)) => {
                diagnostics.push(Diagnostic::error(
                    path,
                    Place::START,
                    format!("cannot be read: {error}"),
                ));
            }
        }
    }
    let is_contract = |(_, text): &(PathBuf, String)| {
        text.lines().any(|line| line.starts_with("contract:"))
            && !text.lines().any(|line| line.starts_with("mapping:"))
    };
    let (contracts, mappings) = texts(&files, diagnostics).into_iter().partition(is_contract);
    (mappings, contracts)
}

/// Prints the JSON Schema of a form.
pub fn schema(args: &SchemaArgs) -> anyhow::Result<ExitStatus> {
    let schema = match args.form {
        Form::Config => crate::config::json_schema(),
        Form::Mapping => crate::mapping::json_schema(),
        Form::Contract => crate::contract::json_schema(),
    };
    line(serde_json::to_string_pretty(&schema)?)?;
    Ok(ExitStatus::Ok)
}
