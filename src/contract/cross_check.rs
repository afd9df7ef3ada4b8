//! Checks the names in rules and tests against the contract, so that a typo is found at load
//! instead of with the first event.

use crate::codec::json::Value;

use crate::call::Function;
use crate::codec::yaml::Located;
use crate::contract::compile::Compiler;
use crate::contract::execute::PROPERTIES;
use crate::contract::form::{ContractForm, StepForm};
use crate::contract::schema::{self, FieldType, JsonType, StateSchema};
use crate::contract::state::{self, Fields};
use crate::contract::{Functions, InvalidCode};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::expression::{Compared, Comparison, Expression, Kinds};

/// The names that expressions may read.
pub(super) struct Names<'a> {
    schema: &'a StateSchema,
    constants: &'a Fields,
    takes_properties: bool,
    deletes: bool,
    /// True if a rule at fault may derive any other field.
    pub(super) is_open: bool,
    /// Paths of the fields that were derived so far, with the kinds of their values.
    pub(super) derived: Vec<(Vec<String>, Kinds)>,
}

impl<'a> Names<'a> {
    pub(super) fn new(
        schema: &'a StateSchema,
        constants: &'a Fields,
        functions: &Functions,
    ) -> Self {
        let takes_properties = functions.offers(Function::DeleteProperties);
        let deletes = functions.offers(Function::Delete);
        let derived = Vec::new();
        Self { schema, constants, takes_properties, deletes, is_open: false, derived }
    }

    /// Reports every field that an expression reads and that cannot be there, and all that fails
    /// for every value. Gives the kinds of its result.
    pub(super) fn check(
        &self,
        compiler: &mut Compiler<'_>,
        source: &Located<String>,
        expression: &Expression,
    ) -> Kinds {
        for (path, place) in expression.paths().iter().zip(expression.places()) {
            let Some((variable, fields)) = path.split_first() else { continue };
            let place = compiler.inside(source, place);
            let file = compiler.file().to_owned();
            let diagnostic = match self.diagnostic(variable, fields) {
                None => continue,
                Some((true, message, help)) => Diagnostic::error(&file, place, message).help(help),
                Some((false, message, help)) => {
                    Diagnostic::warning(&file, place, message).help(help)
                }
            };
            compiler.diagnostic(diagnostic);
        }
        let (kinds, diagnostics) = expression.kinds(&|path| self.kinds(path));
        for diagnostic in diagnostics {
            let place = compiler.inside(source, diagnostic.place);
            let file = compiler.file().to_owned();
            compiler.diagnostic(Diagnostic::error(&file, place, diagnostic.message));
        }
        for comparison in expression.comparisons() {
            let place = compiler.inside(source, comparison.place);
            for (message, help) in self.unlisted(&comparison) {
                let file = compiler.file().to_owned();
                compiler.diagnostic(Diagnostic::error(&file, place, message).help(help));
            }
        }
        kinds
    }

    /// Errors and hints for a comparison of a field with values that its schema does not list.
    /// Values of another type are left to [`Expression::kinds`].
    fn unlisted(&self, comparison: &Comparison<'_>) -> Vec<(String, String)> {
        let (Some(allowed), Some(values)) =
            (self.listed(comparison.path), self.values(&comparison.with))
        else {
            return Vec::new();
        };
        let kinds = allowed.iter().map(|value| kinds_of_type(JsonType::of(value)));
        let kinds = kinds.fold(Kinds::NONE, |all, kind| all | kind);
        let is_unlisted = |value: &&Value| {
            kinds_of_value(value).meets(kinds)
                && !allowed.iter().any(|allowed| schema::same_value(value, allowed))
        };
        let path = comparison.path.join(".");
        let shown: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        let texts = || allowed.iter().filter_map(serde_json::Value::as_str);
        let diagnostic = |value: &Value| {
            let message =
                format!("`{path}` cannot be {value}, the state schema allows {}", shown.join(", "));
            let help = value.as_str().map(|text| did_you_mean(text, texts()));
            (message, help.filter(|help| help.starts_with("did you mean")).unwrap_or_default())
        };
        values.into_iter().filter(is_unlisted).map(diagnostic).collect()
    }

    /// The values that a field can have when rules see it, where its schema lists them. The state
    /// before may be of an earlier version, and what a deletion was called with is never checked.
    fn listed(&self, path: &[String]) -> Option<Vec<serde_json::Value>> {
        let (variable, fields) = path.split_first()?;
        let is_checked = match variable.as_str() {
            "state" => true,
            "arguments" => !self.deletes,
            _ => false,
        };
        (is_checked && !fields.is_empty()).then(|| self.schema.allowed_values(fields))?
    }

    /// The values that something is compared with, where the contract says them.
    fn values<'v>(&'v self, compared: &'v Compared<'_>) -> Option<Vec<&'v Value>> {
        let constant = |path: &[String]| match path.split_first() {
            Some((variable, fields)) if variable == "constants" => {
                state::at(self.constants, fields)
            }
            _ => None,
        };
        match compared {
            Compared::Value(value) => Some(vec![value]),
            Compared::Path(path) => constant(path).map(|value| vec![value]),
            Compared::Elements(path) => match constant(path)? {
                Value::Array(elements) => Some(elements.iter().collect()),
                _ => None,
            },
        }
    }

    /// The kinds of values that a path can have.
    fn kinds(&self, path: &[String]) -> Kinds {
        let Some((variable, fields)) = path.split_first() else { return Kinds::ANY };
        match (variable.as_str(), fields) {
            ("call", []) => Kinds::TEXT,
            ("time", []) => Kinds::NUMBER,
            (_, []) => Kinds::MAP,
            ("state" | "old", fields) => self.schema_kinds(fields),
            // What a call deletes may be null in its arguments.
            ("arguments", fields) if fields[0] != PROPERTIES => {
                self.schema_kinds(fields) | Kinds::NULL
            }
            ("constants", fields) => {
                state::at(self.constants, fields).map_or(Kinds::ANY, kinds_of_value)
            }
            ("derived", fields) => {
                let same = self.derived.iter().find(|(path, _)| path == fields);
                same.map_or(Kinds::ANY, |(_, kinds)| *kinds)
            }
            // An earlier version of the contract may have derived something else.
            _ => Kinds::ANY,
        }
    }

    fn schema_kinds(&self, fields: &[String]) -> Kinds {
        match self.schema.field(fields) {
            FieldType::Known(types) => {
                types.into_iter().map(kinds_of_type).fold(Kinds::NONE, |all, kind| all | kind)
            }
            FieldType::Open | FieldType::Unknown => Kinds::ANY,
        }
    }

    /// Severity, message and hint.
    fn diagnostic(&self, variable: &str, fields: &[String]) -> Option<(bool, String, String)> {
        let dotted = fields.join(".");
        let (name, parent) = fields.split_last()?;
        match variable {
            "arguments" if self.takes_properties && fields[0] == PROPERTIES => None,
            "state" | "old" | "arguments" => {
                let declared = self.schema.names(parent);
                let help = did_you_mean(name, declared.iter().copied());
                match self.schema.field(fields) {
                    FieldType::Unknown => {
                        Some((true, format!("the state schema has no `{dotted}`"), help))
                    }
                    FieldType::Open
                        if !declared.contains(&name.as_str())
                            && help.starts_with("did you mean") =>
                    {
                        Some((false, format!("the state schema does not declare `{dotted}`"), help))
                    }
                    FieldType::Open | FieldType::Known(_) => None,
                }
            }
            "constants" => {
                if state::at(self.constants, fields).is_some() {
                    return None;
                }
                let help = did_you_mean(&dotted, self.constants.keys().map(|name| name.as_str()));
                Some((true, format!("there is no constant `{dotted}`"), help))
            }
            "old_derived" | "derived" => {
                let related = |(known, _): &(Vec<String>, Kinds)| {
                    known.starts_with(fields) || fields.starts_with(known)
                };
                // What was derived before may also stem from rules further down.
                let is_known = self.is_open || self.derived.iter().any(related);
                if variable == "old_derived" || is_known {
                    return None;
                }
                let known: Vec<String> =
                    self.derived.iter().map(|(path, _)| path.join(".")).collect();
                let help = did_you_mean(&dotted, known.iter().map(String::as_str));
                Some((true, format!("no earlier rule derives `{dotted}`"), help))
            }
            other => Some((true, format!("`{other}` has no fields"), String::new())),
        }
    }
}

fn kinds_of_type(json_type: JsonType) -> Kinds {
    match json_type {
        JsonType::Null => Kinds::NULL,
        JsonType::Boolean => Kinds::BOOL,
        JsonType::Integer | JsonType::Number => Kinds::NUMBER,
        JsonType::String => Kinds::TEXT,
        JsonType::Array => Kinds::LIST,
        JsonType::Object => Kinds::MAP,
    }
}

fn kinds_of_value(value: &Value) -> Kinds {
    kinds_of_type(JsonType::of(&value.into()))
}

impl Compiler<'_> {
    /// Reports tests that cannot be carried out as they are written.
    pub(super) fn tests(&mut self, form: &ContractForm, functions: &Functions) {
        for test in &form.tests {
            if test.steps.is_empty() {
                let file = self.file().to_owned();
                let diagnostic = Diagnostic::error(&file, test.name.place, "the test has no steps");
                self.diagnostic(diagnostic.help("write `steps:` with at least one `call`"));
            }
            for step in &test.steps {
                self.step(step, functions);
            }
        }
    }

    fn step(&mut self, step: &Located<StepForm>, functions: &Functions) {
        let file = self.file().to_owned();
        let function = step.value.call;
        let verdict = step.value.expect.verdict.as_ref();
        let expects_unknown =
            verdict.is_some_and(|v| v.value == InvalidCode::UnknownFunction.name());
        if !functions.offers(function) && !expects_unknown {
            let message = format!("the contract has no function `{function}`");
            let help = format!("put `{function}:` below `functions`");
            self.diagnostic(Diagnostic::error(&file, step.place, message).help(help));
        }
        let known = || InvalidCode::ALL.iter().map(|code| code.name()).chain(["valid"]);
        if let Some(verdict) = verdict.filter(|v| !known().any(|name| name == v.value)) {
            let message = format!("there is no verdict `{}`", verdict.value);
            let diagnostic = Diagnostic::error(&file, verdict.place, message);
            self.diagnostic(diagnostic.help(did_you_mean(&verdict.value, known())));
        }
    }
}
