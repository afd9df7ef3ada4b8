//! Results of `check` and `test` for programs: JSON, and JUnit's XML for CI servers.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use crate::app::AppError;
use crate::fault::{Fault, Severity, TestResult};

/// Faults as JSON, in the order in which people see them.
pub fn faults(faults: &[Fault]) -> Vec<Value> {
    let fault = |fault: &Fault| {
        let mut value = json!({
            "severity": severity(fault.severity),
            "file": fault.file.display().to_string(),
            "line": fault.place.line,
            "column": fault.place.column,
            "message": fault.message,
        });
        if !fault.help.is_empty() {
            value["help"] = json!(fault.help);
        }
        value
    };
    faults.iter().map(fault).collect()
}

/// How many of the faults are this severe.
pub fn count(faults: &[Fault], severity: Severity) -> usize {
    faults.iter().filter(|fault| fault.severity == severity).count()
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
pub fn write_junit(path: &Path, faults: &[Fault], results: &[TestResult]) -> Result<(), AppError> {
    let mut report = Report::new("ledgerline test");
    for fault in faults.iter().filter(|fault| fault.severity == Severity::Error) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(fault.to_string());
        let mut suite = TestSuite::new(fault.file.display().to_string());
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
