//! The fields of a mapping: sources, types and options, checked together.

use std::borrow::Cow;

use super::Compiler;
use crate::codec::json::{self, Value};
use crate::codec::yaml::{Exact, Located};
use crate::event::Surroundings;
use crate::event::time::{TimeOptions, TimeReader};
use crate::mapping::convert::FieldType;
use crate::mapping::field::{Field, Source};
use crate::mapping::form::{FieldForm, FullFieldForm};
use crate::mapping::lookup::Lookup;

/// The target type of a field's values.
#[derive(Clone, Copy)]
struct Kind<'a> {
    declared: FieldType,
    /// The format of timestamps.
    times: &'a TimeReader,
}

impl Compiler<'_> {
    pub(super) fn field(
        &mut self,
        name: &Located<String>,
        form: &Located<FieldForm>,
    ) -> Option<Field> {
        let names = self.names(name);
        let full = match &form.value {
            FieldForm::Full(full) => full,
            FieldForm::Path(path) => {
                let path = Located { value: path.clone(), place: form.place };
                let source = Source::Query(self.query(&path)?);
                return Some(Field::required(name, names?, source));
            }
        };
        let mut times = self.times(full);
        let kind = Kind { declared: full.declared, times: &times };
        let lookup = self.lookup(full, kind);
        let default = self.fixed("the default", full.default.as_ref(), kind);
        let source = self.source(name, full, kind)?;
        let is_broker_time = match &source {
            Source::Query(query) => query.is_broker_time(),
            Source::Expression { expression, .. } => {
                expression.source().trim() == Surroundings::TIMESTAMP
            }
            Source::Constant(_) => false,
        };
        if is_broker_time {
            times = times.of_broker_time();
        }
        self.check_options(full, &source);
        let is_constant = matches!(source, Source::Constant(_));
        let required =
            default.is_none() && full.required.as_ref().is_none_or(|required| required.value);
        Some(Field {
            declared: full.declared,
            always: required || is_constant || default.is_some(),
            required,
            default,
            lookup,
            times,
            ..Field::required(name, names?, source)
        })
    }

    fn time_options(full: &FullFieldForm) -> TimeOptions<'_> {
        TimeOptions {
            unit: full.unit.as_ref(),
            zone: full.zone.as_ref(),
            format: full.format.as_ref(),
            ambiguous: full.ambiguous.as_ref(),
        }
    }

    /// The format of a timestamp.
    fn times(&mut self, full: &FullFieldForm) -> TimeReader {
        let options = Self::time_options(full);
        if let Some(place) = options.first_place()
            && full.declared != FieldType::Timestamp
        {
            let message = "`unit`, `zone`, `format` and `ambiguous` belong to `type: timestamp`";
            self.diagnostic(place, message, "add `type: timestamp`, or remove them");
        }
        options.reader(self.file).unwrap_or_else(|diagnostics| {
            self.diagnostics.extend(diagnostics);
            TimeReader::default()
        })
    }

    fn source(
        &mut self,
        name: &Located<String>,
        full: &FullFieldForm,
        kind: Kind<'_>,
    ) -> Option<Source> {
        match (&full.path, &full.constant, &full.expression) {
            (Some(path), None, None) => self.query(path).map(Source::Query),
            (None, Some(constant), None) => {
                self.fixed("the constant", Some(constant), kind).map(Source::Constant)
            }
            (None, None, Some(text)) => self
                .expression(text)
                .map(|(expression, parts)| Source::Expression { expression, parts }),
            _ => {
                let message = format!("where does `{}` come from?", name.value);
                let help = "give exactly one of `path`, `constant` and `expression`";
                self.diagnostic(name.place, message, help);
                None
            }
        }
    }

    /// Options that contradict each other or have no effect.
    fn check_options(&mut self, full: &FullFieldForm, source: &Source) {
        if let (Some(required), Some(_)) = (&full.required, &full.default)
            && required.value
        {
            let message = "a field with a default is never missing";
            self.diagnostic(required.place, message, "take out `required`, or `default`");
        }
        if let (Some(otherwise), None) = (&full.otherwise, &full.lookup) {
            let message = "`otherwise` needs a `lookup`";
            let help = "use `default` for an absent value";
            self.diagnostic(otherwise.place, message, help);
        }
        if matches!(source, Source::Constant(_)) {
            let places = [
                full.lookup.as_ref().map(|form| form.place),
                full.default.as_ref().map(|form| form.place),
                full.required.as_ref().map(|form| form.place),
            ];
            for place in places.into_iter().flatten() {
                self.diagnostic(
                    place,
                    "a constant is always present and never converted",
                    "remove this",
                );
            }
        }
    }

    fn lookup(&mut self, full: &FullFieldForm, kind: Kind<'_>) -> Option<Lookup> {
        let entries = full.lookup.as_ref()?;
        if entries.value.0.is_empty() {
            self.diagnostic(entries.place, "the lookup table is empty", "");
        }
        let mut lookup = Lookup::new(self.fixed("the value", full.otherwise.as_ref(), kind));
        for (name, value) in &entries.value.0 {
            let Some(value) = self.fixed("the value", Some(value), kind) else { continue };
            if !lookup.add(&name.value, value) {
                let message =
                    format!("duplicate key: `{}` equals a number in the table", name.value);
                self.diagnostic(name.place, message, "numbers are compared by value: 1 equals 1.0");
            }
        }
        Some(lookup)
    }

    /// A value of the file in the field's type.
    fn fixed(
        &mut self,
        what: &str,
        value: Option<&Located<Exact>>,
        Kind { declared, times }: Kind<'_>,
    ) -> Option<Value> {
        let value = value?;
        if value.value.0.is_null() {
            self.diagnostic(value.place, format!("{what} is null, which counts as absent"), "");
            return None;
        }
        if let Err(error) = json::parse(value.value.0.to_string().as_bytes()) {
            self.diagnostic(
                value.place,
                format!("{what} cannot be represented: {}", error.message),
                "",
            );
            return None;
        }
        match declared.convert(Cow::Borrowed(&value.value.0), times, None) {
            Ok(value) => Some(value),
            Err(message) => {
                let help = "the field's `type` says what it must be";
                self.diagnostic(value.place, format!("{what}: {message}"), help);
                None
            }
        }
    }
}

impl Field {
    fn required(name: &Located<String>, names: Vec<String>, source: Source) -> Self {
        Self {
            target: name.value.clone(),
            declared: FieldType::Any,
            always: true,
            place: name.place,
            names,
            source,
            required: true,
            default: None,
            lookup: None,
            times: TimeReader::default(),
        }
    }
}
