//! From the YAML form to a checked mapping. Every fault of a document is found, not only the first.

mod field;

use std::path::Path as FilePath;
use std::sync::Arc;

use super::descent::Descent;
use super::document::{PARENTS_NAME, Part};
use super::field::{Field, Query};
use super::form::{
    Entries, ExtensionForm, FieldForm, ForEachForm, FullForEachForm, MappingForm, MatchForm,
    OneOrMany,
};
use super::layout::Layout;
use super::matching::{Condition, Glob, Matcher};
use super::{Each, Mapping, testing};
use crate::codec::Digest;
use crate::codec::yaml::{Document, Located};
use crate::diagnostic::{Diagnostic, Place, Severity, did_you_mean};
use crate::expression::Expression;
use crate::jsonpath::{Path, Step};
use crate::limits::{MAX_MAPPING_FIELDS, MAX_PARENTS};

/// Longest name of a mapping, contract or argument, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// The argument that receives the rest with `extension: true`.
const EXTENSION: &str = "extension";

/// A checked document, or its faults. Warnings may come with a mapping.
pub(super) fn compile(
    file: &FilePath,
    document: &Document<'_>,
) -> (Option<Mapping>, Vec<Diagnostic>) {
    let mut compiler =
        Compiler { file, diagnostics: Vec::new(), parts: &Part::OF_EVENT, asks_origin: false };
    let form: MappingForm = match document.parse(file) {
        Ok(form) => form,
        Err(mut unsound) => {
            if let Some(rest) = unsound.rest.take() {
                compiler.mapping(rest, document.text);
            }
            let more =
                unsound.sift(compiler.diagnostics, &["fields", "match", "tests"], &["fields"]);
            unsound.diagnostics.extend(more);
            return (None, unsound.diagnostics);
        }
    };
    let mapping = compiler.mapping(form, document.text);
    let has_errors =
        compiler.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    (Some(mapping).filter(|_| !has_errors), compiler.diagnostics)
}

struct Compiler<'a> {
    file: &'a FilePath,
    diagnostics: Vec<Diagnostic>,
    /// The permitted roots of paths.
    parts: &'static [Part],
    /// True if fields ask where the elements of `for_each` stand.
    asks_origin: bool,
}

impl Compiler<'_> {
    fn diagnostic(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(self.file, place, message).help(help));
    }

    fn mapping(&mut self, form: MappingForm, text: &str) -> Mapping {
        self.check_name("a mapping", &form.mapping);
        self.check_name("a contract", &form.contract);
        let matcher = self.matcher(&form.matching);
        let for_each = form.for_each.as_ref().and_then(|form| self.for_each(form));
        self.parts = match (&form.for_each, &for_each) {
            (None, _) => &Part::OF_EVENT,
            (Some(_), Some(Each::Expression { .. })) => &Part::OF_LISTED,
            (Some(_), _) => &Part::OF_ITEM,
        };
        let extension = form.extension.as_ref().and_then(|form| self.extension(form));
        let fields = self.fields(&form.fields);
        self.check_targets(&fields, extension.as_ref());
        if form.fields.0.is_empty() && form.extension.is_none() {
            let help = "add `fields`, or `extension: true` for the whole payload";
            self.diagnostic(form.mapping.place, "the mapping provides no arguments", help);
        }
        self.diagnostics.extend(testing::diagnostics(self.file, &form.tests));
        Mapping {
            name: form.mapping.value.as_str().into(),
            text: text.into(),
            digest: Digest::of(text.as_bytes()),
            contract: form.contract.value.as_str().into(),
            function: form.function.value,
            file: self.file.to_owned(),
            place: form.mapping.place,
            contract_place: form.contract.place,
            function_place: form.function.place,
            extension_target: extension.as_ref().map(|names| names.value.join(".")),
            layout: Layout::of(&fields),
            descent: Descent::of(&fields),
            fields,
            matcher,
            for_each,
            asks_origin: self.asks_origin,
            extension: extension.map(|names| names.value),
            tests: form.tests.into(),
            topics: exact_text(form.matching.topic.as_ref()),
            device_type: exact_text(form.matching.device_type.as_ref()),
            event_type: exact_text(form.matching.event_type.as_ref()),
        }
    }

    fn check_name(&mut self, what: &str, name: &Located<String>) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let text = &name.value;
        // A name stands in addresses, where dots alone are steps of a path.
        let is_path = text.chars().all(|c| c == '.');
        if is_path || text.len() > MAX_NAME_BYTES || !text.chars().all(allowed) {
            let message = format!("{text:?} cannot be the name of {what}");
            let help = format!(
                "use letters, digits, `_`, `-` and `.`, not only dots, at most {MAX_NAME_BYTES}"
            );
            self.diagnostic(name.place, message, help);
        }
    }

    fn matcher(&mut self, form: &MatchForm) -> Matcher {
        Matcher {
            topic: form.topic.as_ref().map(|form| self.globs(form)),
            device_type: form.device_type.as_ref().map(|form| self.globs(form)),
            event_type: form.event_type.as_ref().map(|form| self.globs(form)),
            condition: form.condition.as_ref().and_then(|text| {
                let (expression, parts) = self.expression(text)?;
                Some(Condition { expression, parts })
            }),
        }
    }

    fn globs(&mut self, form: &Located<OneOrMany>) -> Vec<Glob> {
        let texts = form.value.texts();
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            let help = "remove it, or write `*` for anything";
            self.diagnostic(form.place, "an empty string or list matches nothing", help);
        }
        texts.iter().map(|text| Glob::new(text)).collect()
    }

    fn expression(&mut self, text: &Located<String>) -> Option<(Expression, Vec<Part>)> {
        let names: Vec<&str> = self.parts.iter().map(|part| part.name()).collect();
        let expression = match Expression::compile(&text.value, &names) {
            Ok(expression) => expression,
            Err(error) => {
                let (line, column) = (error.place.line, error.place.column);
                let help = format!("line {line}, column {column} of the expression");
                self.diagnostic(text.place, error.message, help);
                return None;
            }
        };
        let paths = expression.paths();
        for path in paths {
            if let [part, member, ..] = path.as_slice() {
                self.check_member(text.place, part, member);
            }
        }
        let reads = |part: &&Part| paths.iter().any(|path| path[0] == part.name());
        let parts: Vec<Part> = self.parts.iter().filter(reads).copied().collect();
        self.asks_origin |= parts.iter().any(|part| part.is_origin());
        Some((expression, parts))
    }

    fn check_member(&mut self, place: Place, part: &str, member: &str) {
        let members = Part::named(part).map_or(&[][..], Part::members);
        if !members.is_empty() && !members.contains(&member) {
            let message = format!("there is no `$.{part}.{member}`");
            self.diagnostic(place, message, did_you_mean(member, members.iter().copied()));
        }
    }

    /// A path whose every `$` is followed by a part of the event.
    fn query(&mut self, text: &Located<String>) -> Option<Query> {
        let path = match Path::parse(&text.value) {
            Ok(path) => path,
            Err(error) => {
                let at = text.value[..error.offset].chars().count() + 1;
                let message = format!("`{}`: {}", text.value, error.message);
                let help = match text.value.starts_with('$') {
                    true => format!("look at character {at}"),
                    false => "write a path like `$.payload.d.temperature`, or a fixed value \
                              as `{constant: …}`"
                        .to_owned(),
                };
                self.diagnostic(text.place, message, help);
                return None;
            }
        };
        let names = self.parts.iter().map(|part| match part {
            Part::Parent(_) => PARENTS_NAME,
            part => part.name(),
        });
        let mut known: Vec<&str> = names.collect();
        known.dedup();
        for name in path.names() {
            if name.is_some_and(|name| known.contains(&name)) {
                continue;
            }
            let list: Vec<String> = known.iter().map(|name| format!("`$.{name}`")).collect();
            let message = format!("`{}`: a path starts with {}", text.value, list.join(", "));
            let help = match name {
                Some(name) => did_you_mean(name, known.iter().copied()),
                None => "for example `$.payload..temperature`, for any depth".to_owned(),
            };
            self.diagnostic(text.place, message, help);
            return None;
        }
        if let [Step::Name(part), Step::Name(member), ..] = path.steps() {
            self.check_member(text.place, part, member);
        }
        let of_origin = |name: Option<&str>| {
            name.is_some_and(|name| {
                name == PARENTS_NAME || Part::named(name).is_some_and(Part::is_origin)
            })
        };
        self.asks_origin |= path.names().into_iter().any(of_origin);
        let Some(part) = Part::of_steps(path.steps()) else {
            let message = format!("`{}`: a number must follow `$.{PARENTS_NAME}`", text.value);
            let last = MAX_PARENTS - 1;
            let help =
                format!("`$.parents[0]` is the nearest object, `$.parents[{last}]` the last");
            self.diagnostic(text.place, message, help);
            return None;
        };
        Some(Query { path, part })
    }

    fn for_each(&mut self, form: &Located<ForEachForm>) -> Option<Each> {
        let path = match &form.value {
            ForEachForm::Path(path) => Located { value: path.clone(), place: form.place },
            ForEachForm::Full(FullForEachForm { path: Some(path), expression: None }) => {
                path.clone()
            }
            ForEachForm::Full(FullForEachForm { path: None, expression: Some(text) }) => {
                let (expression, parts) = self.expression(text)?;
                return Some(Each::Expression { expression, parts });
            }
            ForEachForm::Full(_) => {
                let help = "give exactly one of `path` and `expression`";
                self.diagnostic(form.place, "`for_each` needs the source of its elements", help);
                return None;
            }
        };
        let query = self.query(&path)?;
        if query.part != Part::Payload {
            let message = format!("`{}`: `for_each` selects within `$.payload`", path.value);
            self.diagnostic(path.place, message, "");
        }
        Some(Each::Query(query))
    }

    fn extension(&mut self, form: &Located<ExtensionForm>) -> Option<Located<Vec<String>>> {
        let target = match &form.value {
            ExtensionForm::Flag(false) => return None,
            ExtensionForm::Flag(true) => EXTENSION,
            ExtensionForm::Target(target) => target,
        };
        let names = self.names(&Located { value: target.to_owned(), place: form.place })?;
        Some(Located { value: names, place: form.place })
    }

    /// The names of a dotted target.
    fn names(&mut self, target: &Located<String>) -> Option<Vec<String>> {
        let text = &target.value;
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_name = |name: &String| {
            !name.is_empty() && !name.starts_with('$') && !name.chars().any(char::is_control)
        };
        if text.len() <= MAX_NAME_BYTES && names.iter().all(is_name) {
            return Some(names);
        }
        let message = format!("{text:?} cannot be the name of an argument");
        let help = format!("use names separated by dots, at most {MAX_NAME_BYTES} bytes");
        self.diagnostic(target.place, message, help);
        None
    }

    fn fields(&mut self, entries: &Entries<Located<FieldForm>>) -> Vec<Field> {
        if let Some((name, _)) = entries.0.get(MAX_MAPPING_FIELDS) {
            let message = format!("{} fields; the limit is {MAX_MAPPING_FIELDS}", entries.0.len());
            self.diagnostic(name.place, message, "");
            return Vec::new();
        }
        entries.0.iter().filter_map(|(name, form)| self.field(name, form)).collect()
    }

    /// No target may stand within another.
    fn check_targets(&mut self, fields: &[Field], extension: Option<&Located<Vec<String>>>) {
        let fields = fields.iter().map(|field| (field.names.as_slice(), field.place));
        let extension = extension.map(|names| (names.value.as_slice(), names.place));
        let mut targets: Vec<(&[String], Place)> = fields.chain(extension).collect();
        targets.sort_by_key(|(names, place)| (*names, *place));
        // In this order a target stands before those within it, and nothing else between.
        for pair in targets.windows(2) {
            let [(outer, _), (inner, place)] = pair else { continue };
            if inner.starts_with(outer) {
                let (outer, inner) = (outer.join("."), inner.join("."));
                let message = match outer == inner {
                    true => format!("duplicate argument `{inner}`"),
                    false => format!("`{inner}` cannot be inside `{outer}`, which has a value"),
                };
                self.diagnostic(*place, message, "");
            }
        }
    }
}

/// The first text of `match` that is no pattern, for tests that do not say it.
fn exact_text(form: Option<&Located<OneOrMany>>) -> Option<Arc<str>> {
    let mut texts = form?.value.texts().iter();
    texts.find(|text| matches!(Glob::new(text), Glob::Exact(_))).map(|text| text.as_str().into())
}
