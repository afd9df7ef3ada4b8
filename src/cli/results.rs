//! Results of `check` and `test` for programs: JSON, and JUnit's XML for CI servers.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use crate::app::AppError;
use crate::diagnostic::{Diagnostic, Severity, TestResult};

/// Faults as JSON, in the order in which people see them.
pub fn diagnostics(diagnostics: &[Diagnostic]) -> Vec<Value> {
    let diagnostic = |diagnostic: &Diagnostic| {
        let mut value = json!({
            "severity": severity(diagnostic.severity),
            "file": diagnostic.file.display().to_string(),
            "line": diagnostic.place.line,
            "column": diagnostic.place.column,
            "message": diagnostic.message,
        });
        if !diagnostic.help.is_empty() {
            value["help"] = json!(diagnostic.help);
        }
        value
    };
    diagnostics.iter().map(diagnostic).collect()
}

/// The number of diagnostics of this severity.
pub fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Test results as JSON.
pub fn tests(results: &[TestResult]) -> Vec<Value> {
    let test = |result: &TestResult| {
        let TestResult { file, place, definition, test, failure } = result;
        let mut value = json!({
            "file": file.display().to_string(),
            "line": place.line,
            "column": place.column,
            "definition": definition,
            "test": test,
            "passed": failure.is_none(),
        });
        if let Some(failure) = failure {
            value["failure"] = json!(failure);
        }
        value
    };
    results.iter().map(test).collect()
}

/// Writes a JUnit report: a suite for each definition, in order; an error for each file that cannot
/// be used.
pub fn write_junit(
    path: &Path,
    diagnostics: &[Diagnostic],
    results: &[TestResult],
) -> Result<(), AppError> {
    let mut report = Report::new("ledgerline test");
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(diagnostic.to_string());
        let mut suite = TestSuite::new(diagnostic.file.display().to_string());
        suite.add_test_case(TestCase::new("the file is read", status));
        report.add_test_suite(suite);
    }
    for of_definition in
        results.chunk_by(|one, next| (&one.definition, &one.file) == (&next.definition, &next.file))
    {
        let Some(first) = of_definition.first() else { continue };
        let mut suite = TestSuite::new(&first.definition);
        suite.add_test_cases(of_definition.iter().map(test_case));
        report.add_test_suite(suite);
    }
    let io = |error| AppError::Io { doing: "writing", path: path.to_owned(), error };
    let text = report.to_string().map_err(|error| io(std::io::Error::other(error)))?;
    std::fs::write(path, text).map_err(io)
}

fn test_case(result: &TestResult) -> TestCase {
    let TestResult { file, place, definition, test, failure } = result;
    let status = match failure {
        None => TestCaseStatus::success(),
        Some(difference) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(format!("{}:{}:{}", file.display(), place.line, place.column));
            status.set_description(difference.as_str());
            status
        }
    };
    let mut case = TestCase::new(test.as_str(), status);
    case.set_classname(definition.as_str());
    case
}
