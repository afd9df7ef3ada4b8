//! Faults of a mapping's tests that are found before any of them runs.

use std::path::Path;

use super::super::form::{BytesForm, EventForm, ExpectForm, KafkaForm, TestForm};
use super::record::event_time;
use crate::codec::yaml::Located;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::event::{Cause, Decoder};

/// Every fault of these tests.
pub(in crate::mapping) fn diagnostics(file: &Path, tests: &[Located<TestForm>]) -> Vec<Diagnostic> {
    let mut checker = Checker { file, diagnostics: Vec::new() };
    for test in tests {
        checker.test(test);
    }
    checker.diagnostics
}

struct Checker<'a> {
    file: &'a Path,
    diagnostics: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn error(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn test(&mut self, test: &Located<TestForm>) {
        let form = &test.value;
        match (&form.event, &form.record) {
            (Some(event), None) => self.event(test, event),
            (None, Some(record)) => {
                self.bytes("value", record.value.as_ref());
                self.kafka(&record.kafka);
            }
            (Some(_), Some(_)) | (None, None) => {
                let what =
                    if form.event.is_some() { "both `event` and `record`" } else { "no event" };
                let message = format!("the test `{}` has {what}", form.name);
                self.error(
                    Diagnostic::error(self.file, test.place, message)
                        .help("give one of `event` and `record`"),
                );
            }
        }
        if let Some(identity) = &form.identity
            && let Err(found) = Decoder::new(&identity.value, self.file)
        {
            self.diagnostics.extend(found);
        }
        self.expectation(&form.expect.value);
    }

    fn event(&mut self, test: &Located<TestForm>, event: &EventForm) {
        if let Some(identity) = &test.value.identity {
            let message = "`identity` is for a `record`; an `event` names its device itself";
            self.error(
                Diagnostic::error(self.file, identity.place, message)
                    .help("give the event as `record`, or remove `identity`"),
            );
        }
        match (&event.value, &event.payload, &test.value.body) {
            (Some(value), Some(_), _) => {
                let message = "`payload` and `value` cannot both be given";
                self.error(
                    Diagnostic::error(self.file, value.place, message).help(
                        "`payload` is the body as mappings see it, `value` the record's bytes",
                    ),
                );
            }
            (None, _, Some(body)) => {
                let message = "`body` says how a `value` is read, and the event has none";
                self.error(
                    Diagnostic::error(self.file, body.place, message)
                        .help("give `value` in place of `payload`, or remove `body`"),
                );
            }
            _ => {}
        }
        self.bytes("value", event.value.as_ref());
        self.kafka(&event.kafka);
        if let Some(time) = &event.event.time
            && let Err(error) = event_time(&time.value)
        {
            self.error(Diagnostic::error(self.file, time.place, error));
        }
    }

    fn kafka(&mut self, form: &KafkaForm) {
        self.bytes("key", form.key.as_ref());
        for (name, value) in &form.headers {
            self.bytes(name, Some(value));
        }
    }

    fn bytes(&mut self, name: &str, form: Option<&Located<BytesForm>>) {
        let Some(Located { value, place }) = form else { return };
        if let Err(error) = value.bytes() {
            let help = match value {
                BytesForm::Base64(_) => {
                    "base64 uses `+`, `/` and `=` at the end (RFC 4648, section 4)"
                }
                BytesForm::Hex(_) | BytesForm::Text(_) => {
                    "hex is two digits a byte, such as `00 0a ff`"
                }
            };
            let message = format!("`{name}`: {error}");
            self.error(Diagnostic::error(self.file, *place, message).help(help));
        }
    }

    fn expectation(&mut self, form: &ExpectForm) {
        let ExpectForm::Rejected(rejected) = form else { return };
        let (cause, known) = (&rejected.cause, Cause::ALL.map(Cause::name));
        if !known.contains(&cause.value.as_str()) {
            let message = format!("there is no cause `{}`", cause.value);
            let help = did_you_mean(&cause.value, known);
            self.error(Diagnostic::error(self.file, cause.place, message).help(help));
        }
    }
}
