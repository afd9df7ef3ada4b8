//! From a file's YAML to contracts, with every error at its position.

use std::path::Path;
use std::sync::Arc;

use crate::codec::json::Value;

use crate::call::Function;
use crate::codec::Digest;
use crate::codec::yaml::{self, Document, Located};
use crate::contract::cross_check::Names;
use crate::contract::execute::PROPERTIES;
use crate::contract::form::{ContractForm, FunctionOptions, RuleForm};
use crate::contract::rules::{AlertRule, DeriveRule, RejectRule, VARIABLES};
use crate::contract::schema::{FieldType, JsonType, StateSchema};
use crate::contract::state::Nulls;
use crate::contract::{Contract, Functions};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::expression::{Expression, Kinds};
use crate::limits::{MAX_CONTRACT_RULES, MAX_NAME_BYTES};

/// Top-level entries that all others refer to.
const FOUNDATIONS: &[&str] = &["key", "state", "functions", "constants", "rules"];

/// True if a rule may derive a field under a name that it does not say.
fn is_nameless(rule: &RuleForm) -> bool {
    match &rule.derive {
        Some(name) => name.value.split('.').any(str::is_empty),
        None => rule.reject.is_none() && rule.alert.is_none(),
    }
}

/// The contracts of a file without errors, each with the place of its name.
pub(super) fn file(
    file: &Path,
    text: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(Contract, Place)> {
    let documents = match yaml::documents(file, text) {
        Ok(documents) => documents,
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            return Vec::new();
        }
    };
    if documents.is_empty() {
        diagnostics.push(Diagnostic::error(file, Place::START, "the file contains no contract"));
    }
    let mut contracts = Vec::new();
    for document in documents {
        let mut compiler = Compiler { file, text, diagnostics: Vec::new() };
        let contract = compiler.document(&document);
        let has_error =
            compiler.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        diagnostics.append(&mut compiler.diagnostics);
        contracts.extend(contract.filter(|_| !has_error));
    }
    contracts
}

/// Compiles one document and gathers its faults.
pub(super) struct Compiler<'a> {
    file: &'a Path,
    text: &'a str,
    diagnostics: Vec<Diagnostic>,
}

/// The rules of one contract.
#[derive(Default)]
struct Rules {
    rejects: Vec<RejectRule>,
    derives: Vec<DeriveRule>,
    alerts: Vec<AlertRule>,
}

impl Compiler<'_> {
    pub(super) fn diagnostic(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn file(&self) -> &Path {
        self.file
    }

    fn error(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        let diagnostic = Diagnostic::error(self.file, place, message).help(help);
        self.diagnostic(diagnostic);
    }

    fn document(&mut self, document: &Document<'_>) -> Option<(Contract, Place)> {
        let form = match document.parse(self.file) {
            Ok(form) => form,
            Err(mut unsound) => {
                if let Some(rest) = unsound.rest.take() {
                    self.contract(rest, document.text);
                }
                let found = std::mem::take(&mut self.diagnostics);
                let more = unsound.sift(found, &["rules", "tests"], FOUNDATIONS);
                self.diagnostics = unsound.diagnostics;
                self.diagnostics.extend(more);
                return None;
            }
        };
        self.contract(form, document.text)
    }

    fn contract(&mut self, form: ContractForm, text: &str) -> Option<(Contract, Place)> {
        let place = form.contract.place;
        self.name(&form.contract, "a contract's name");
        if form.version.value == 0 {
            self.error(form.version.place, "versions start at 1", "write `version: 1`");
        }
        let key = self.dotted(&form.key, "key");
        let functions = self.functions(&form, key.first());
        let schema = self.schema(&form)?;
        self.key_field(&form.key, &key, &schema);
        let rules = self.rules(&form, &schema, &functions);
        self.tests(&form, &functions);
        let contract = Contract {
            name: Arc::from(form.contract.value),
            version: form.version.value,
            text: Arc::from(text),
            digest: Digest::of(text.as_bytes()),
            description: form.description,
            file: self.file.to_owned(),
            version_place: form.version.place,
            key,
            functions,
            schema,
            constants: form.constants.0,
            rejects: rules.rejects,
            derives: rules.derives,
            alerts: rules.alerts,
            tests: form.tests,
        };
        Some((contract, place))
    }

    fn name(&mut self, name: &Located<String>, what: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let text = &name.value;
        if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.chars().all(plain) {
            let message = format!("{what} cannot be `{text}`");
            let help = format!("1 to {MAX_NAME_BYTES} letters, digits, `_` and `-`");
            self.error(name.place, message, help);
        }
    }

    /// The parts of a dotted name.
    fn dotted(&mut self, name: &Located<String>, what: &str) -> Vec<String> {
        let parts: Vec<String> = name.value.split('.').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) {
            let message = format!("`{}` is not a dotted name for `{what}`", name.value);
            self.error(name.place, message, "use names separated by dots, such as asset.id");
        }
        parts
    }

    fn functions(&mut self, form: &ContractForm, key: Option<&String>) -> Functions {
        let place = form.contract.place;
        let declared = form.functions.clone().unwrap_or_else(|| {
            std::iter::once((Function::Update, Some(FunctionOptions::default()))).collect()
        });
        if declared.is_empty() {
            self.error(place, "`functions` offers nothing", "name at least `update:`");
        }
        for (function, options) in &declared {
            let options = options.unwrap_or_default();
            let creates = matches!(function, Function::Update | Function::Replace);
            if options.create_when_absent.is_some() && !creates {
                let message = format!("`{function}` has no option `create_when_absent`");
                self.error(place, message, "it belongs to `update` and `replace`");
            }
            if options.null_deletes.is_some() && *function != Function::Update {
                let message = format!("`{function}` has no option `null_deletes`");
                self.error(place, message, "it belongs to `update`");
            }
        }
        if declared.contains_key(&Function::DeleteProperties)
            && key.is_some_and(|k| k == PROPERTIES)
        {
            let message = "the key cannot be `properties` if the contract has deleteProperties";
            self.error(form.key.place, message, "deleteProperties takes its paths by that name");
        }
        let options = |function| declared.get(&function).copied().flatten().unwrap_or_default();
        let (update, replace) = (options(Function::Update), options(Function::Replace));
        Functions {
            offered: declared.keys().copied().collect(),
            update_creates: update.create_when_absent.unwrap_or(true),
            replace_creates: replace.create_when_absent.unwrap_or(false),
            nulls: if update.null_deletes == Some(true) { Nulls::Delete } else { Nulls::Keep },
        }
    }

    fn schema(&mut self, form: &ContractForm) -> Option<StateSchema> {
        match StateSchema::compile((&Value::Object(form.state.value.0.clone())).into()) {
            Ok(schema) => Some(schema),
            Err(diagnostic) => {
                let at = if diagnostic.pointer.is_empty() {
                    String::new()
                } else {
                    format!(" (at `state{}`)", diagnostic.pointer.replace('/', "."))
                };
                let message =
                    format!("the state schema cannot be used{at}: {}", diagnostic.message);
                self.error(form.state.place, message, "it is JSON Schema, draft 2020-12");
                None
            }
        }
    }

    fn key_field(&mut self, key: &Located<String>, path: &[String], schema: &StateSchema) {
        let usable = |types: &std::collections::BTreeSet<JsonType>| {
            types.contains(&JsonType::String) || types.contains(&JsonType::Integer)
        };
        let message = match schema.field(path) {
            FieldType::Known(types) if usable(&types) => return,
            FieldType::Open => return,
            FieldType::Known(_) => {
                format!("the key `{}` is neither a string nor an integer", key.value)
            }
            FieldType::Unknown => format!("the state schema has no `{}`", key.value),
        };
        self.error(
            key.place,
            message,
            "the key is a field of the state, of type string or integer",
        );
    }

    fn rules(&mut self, form: &ContractForm, schema: &StateSchema, functions: &Functions) -> Rules {
        let mut rules = Rules::default();
        let mut names = Names::new(schema, &form.constants.0, functions);
        if let Some(surplus) = form.rules.get(MAX_CONTRACT_RULES) {
            let message = format!("more than {MAX_CONTRACT_RULES} rules");
            self.error(surplus.place, message, "split the contract");
        }
        names.is_open = form.rules.iter().any(|rule| is_nameless(&rule.value));
        // Derived names first: alerts may stand above the rules that give what they read.
        for rule in &form.rules {
            self.derive(&rule.value, &mut names, &mut rules);
        }
        for rule in &form.rules {
            self.form_of(rule);
            self.reject(&rule.value, &names, &mut rules);
            self.alert(&rule.value, &names, &mut rules);
        }
        rules.alerts.sort_by(|left, right| left.name.cmp(&right.name));
        rules
    }

    /// Refuses a rule that is none or several of the three, or has parts of another.
    fn form_of(&mut self, rule: &Located<RuleForm>) {
        let form = &rule.value;
        let kinds = [form.reject.is_some(), form.derive.is_some(), form.alert.is_some()];
        if kinds.iter().filter(|is| **is).count() != 1 {
            let message = "a rule is one of `reject`, `derive` and `alert`";
            self.error(rule.place, message, "write `- alert: NAME`, or split it into two");
            return;
        }
        let [reject, derive, alert] = kinds;
        let parts = [
            ("when", form.when.is_some(), reject),
            ("message", form.message.is_some(), reject),
            ("value", form.value.is_some(), derive),
            ("raise_when", form.raise_when.is_some(), alert),
            ("clear_when", form.clear_when.is_some(), alert),
            ("severity", form.severity.is_some(), alert),
            ("description", form.description.is_some(), alert),
        ];
        for (part, given, allowed) in parts {
            if given && !allowed {
                let message = format!("`{part}` does not belong to this kind of rule");
                let help = "`reject` has when and message, `derive` has value, `alert` has \
                            raise_when, clear_when, severity and description";
                self.error(rule.place, message, help);
            }
        }
    }

    fn reject(&mut self, form: &RuleForm, names: &Names<'_>, rules: &mut Rules) {
        let Some(name) = &form.reject else { return };
        self.name(name, "a rule's name");
        self.unique(name, rules.rejects.iter().any(|rule| rule.name == name.value));
        let variables = &VARIABLES[..VARIABLES.len() - 1];
        let when = self.expression(name, ("when", form.when.as_ref()), variables, names);
        let Some((when, _)) = when else { return };
        let message = form.message.as_ref().map_or("is not allowed", |message| &message.value);
        let message = message.to_owned();
        rules.rejects.push(RejectRule { name: name.value.clone(), when, message });
    }

    fn derive(&mut self, form: &RuleForm, names: &mut Names<'_>, rules: &mut Rules) {
        let Some(name) = &form.derive else { return };
        let path = self.dotted(name, "derive");
        let clashes =
            |rule: &&DeriveRule| path.starts_with(&rule.path) || rule.path.starts_with(&path);
        if let Some(other) = rules.derives.iter().find(clashes) {
            let message = format!("`{}` and `{}` cannot both be derived", other.name, name.value);
            self.error(name.place, message, "they are the same, or one contains the other");
        }
        let value = self.expression(name, ("value", form.value.as_ref()), &VARIABLES, names);
        // Also where the expression is at fault: what reads the field is not to blame.
        let kinds = value.as_ref().map_or(Kinds::ANY, |(_, kinds)| *kinds);
        names.derived.push((path.clone(), kinds));
        if let Some((value, _)) = value {
            rules.derives.push(DeriveRule { name: name.value.clone(), path, value });
        }
    }

    fn alert(&mut self, form: &RuleForm, names: &Names<'_>, rules: &mut Rules) {
        let Some(name) = &form.alert else { return };
        self.name(name, "an alert's name");
        self.unique(name, rules.alerts.iter().any(|rule| rule.name == name.value));
        let raise = ("raise_when", form.raise_when.as_ref());
        let raise_when = self.expression(name, raise, &VARIABLES, names);
        let clear_when = form.clear_when.as_ref().and_then(|clear| {
            let clear = ("clear_when", Some(clear));
            self.expression(name, clear, &VARIABLES, names).map(|(clear_when, _)| clear_when)
        });
        let Some((raise_when, _)) = raise_when else { return };
        rules.alerts.push(AlertRule {
            name: name.value.clone(),
            raise_when,
            clear_when,
            severity: form.severity.unwrap_or_default(),
            description: form.description.as_ref().map_or_else(String::new, |d| d.value.clone()),
        });
    }

    fn unique(&mut self, name: &Located<String>, taken: bool) {
        if taken {
            let message = format!("duplicate rule name `{}`", name.value);
            self.error(name.place, message, "rename this rule");
        }
    }

    fn expression(
        &mut self,
        rule: &Located<String>,
        (part, source): (&str, Option<&Located<String>>),
        variables: &[&str],
        names: &Names<'_>,
    ) -> Option<(Expression, Kinds)> {
        let Some(source) = source else {
            let message = format!("rule `{}` has no `{part}`", rule.value);
            self.error(rule.place, message, format!("write `{part}:` with a CEL expression"));
            return None;
        };
        match Expression::compile(&source.value, variables) {
            Ok(expression) => {
                let kinds = names.check(self, source, &expression);
                if part != "value" && !kinds.meets(Kinds::BOOL) {
                    let message = format!("`{part}` must be true or false, this is {kinds}");
                    self.error(source.place, message, "compare the value with something");
                }
                Some((expression, kinds))
            }
            Err(error) => {
                let place = self.inside(source, error.place);
                self.error(place, format!("rule `{}`: {error}", rule.value), "");
                None
            }
        }
    }

    /// The file's place of a place in an expression.
    pub(super) fn inside(&self, source: &Located<String>, place: Place) -> Place {
        yaml::place_inside(self.text, source.place, &source.value, place)
    }
}
