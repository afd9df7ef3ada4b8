//! Manual calls: the functions of each contract, a form made from its schema, and the newest calls.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::call::Function;
use crate::codec::json::{self, Value};
use crate::contract::{Contract, Input, JsonType, arguments_of};
use crate::diagnostic::did_you_mean;
use crate::limits::DEFAULT_PAGE;
use crate::monitor::access::{Caller, Role};
use crate::monitor::http::path::FunctionPath;
use crate::monitor::http::request::Parameters;
use crate::monitor::operations::{self, CallRequest};
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{
    Row, address, address_of_id, ago, call, cell, link, name, table, text,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::ui::{Made, transactions, trial};
use crate::query::QueryError;
use crate::query::views::TransactionView;

/// Prefix of the form's field names.
const FIELD: &str = "f.";
const HEADINGS: [&str; 5] = ["Transaction", "Time", "Caller", "Call", "Verdict"];

/// Outcome of a submitted form.
pub enum Sent {
    /// A page: the result of a check, or the problem with the form.
    Page(Content),
    /// The address of the call in the ledger.
    Done(String),
}

/// Every function of every contract, and the newest calls.
pub fn list(service: &Service, caller: &Caller, given: Parameters) -> Made {
    given.finish()?;
    let now = service.clock.now_ms();
    let calls = operations::newest(service, DEFAULT_PAGE)?;
    let rows: Vec<_> = calls.iter().map(|call| row(call, now)).collect();
    let body = html! {
        p { "A manual call becomes a transaction like any other: signed, in the chain, with your name in it." }
        (notice(service.calls.is_some(), caller))
        @for contract in service.trial.contracts.iter() {
            section {
                h2 { (text(&contract.name)) }
                p { (text(&contract.description)) }
                ul.kinds {
                    @for function in contract.functions() {
                        li { a.button href=(address(&["operations", &contract.name, function.name()])) { (function.name()) } }
                    }
                }
            }
        }
        h2 { "Newest manual calls" }
        div #list data-live {
            (table("Manual calls, newest first", &HEADINGS, &rows, "No manual calls yet."))
        }
    };
    let title = "Operations".to_owned();
    Ok(Content { title, is_live: true, body })
}

fn row(transaction: &TransactionView, now: i64) -> Row {
    let summary = &transaction.summary;
    vec![
        cell(link(&address_of_id("transactions", &summary.id), &summary.id)),
        cell(ago(&summary.time, now)),
        cell(name(transaction.caller.as_deref().unwrap_or_default())),
        cell(html! {
            (call(&summary.contract, summary.function)) " " (transactions::keys(summary))
        }),
        cell(transactions::verdict_of(summary)),
    ]
}

/// A notice for a caller who may not submit calls.
fn notice(is_enabled: bool, caller: &Caller) -> Markup {
    html! {
        @if !is_enabled {
            p.finding.warn {
                "Manual calls are not enabled: this service can only check them. Add an input with "
                code { "calls: {}" } " under " code { "inputs" } " in its configuration."
            }
        }
        @if !caller.may(Role::Operator) {
            p.finding.warn {
                "Read-only: submitting calls requires the " strong { "operator" } " role. "
                a href="/login" { "Log in" } " with a token for it, as created by "
                code { "ledgerline token" } "."
            }
        }
    }
}

/// A form as it was filled in.
#[derive(Debug, Default)]
struct Fields {
    values: BTreeMap<String, String>,
    properties: String,
    more: String,
    time: String,
}

/// An empty form, or one with what an asset has now.
pub fn form(
    service: &Service,
    caller: &Caller,
    FunctionPath { contract, function }: &FunctionPath,
    mut given: Parameters,
) -> Made {
    let key = given.filled("key")?;
    given.finish()?;
    let called = find(service, contract, function)?;
    let Called { contract, function } = called;
    let mut fields = Fields::default();
    if let Some(key) = key {
        if function == Function::Replace
            && let Some(asset) = service.queries.world().get(&contract.name, &key)?
        {
            fields.values = filled_in(contract, &Value::Object(asset.asset.state));
        }
        fields.values.insert(contract.key(), key);
    }
    Ok(content(Sender::new(service, caller), called, &fields, html! {}))
}

/// Handles a submitted form: a dry run or a call, depending on the button.
pub fn sent(
    service: &Service,
    caller: &Caller,
    FunctionPath { contract, function }: &FunctionPath,
    mut given: Parameters,
) -> Result<Sent, QueryError> {
    let called = find(service, contract, function)?;
    let Called { contract, function } = called;
    let fields = Fields::take(&mut given)?;
    let is_submission = match given.filled("do")?.as_deref() {
        Some("check") => false,
        Some("submit") => true,
        _ => {
            return Err(QueryError::Malformed("`do` must be `check` or `submit`".to_owned()));
        }
    };
    given.finish()?;
    let page = |result| Sent::Page(content(Sender::new(service, caller), called, &fields, result));
    let call =
        fields.to_request(contract, function).and_then(|asked| asked.by(service, caller.name()));
    let call = match call {
        Ok(call) => call,
        // What was filled in stays, beside what is wrong with it.
        Err(QueryError::Malformed(message)) => {
            return Ok(page(html! { p.problem role="alert" { (text(&message)) } }));
        }
        Err(error) => return Err(error),
    };
    if is_submission {
        let done = operations::submit(service, &call)?;
        return Ok(Sent::Done(address_of_id("transactions", &done.summary.id)));
    }
    let tried = operations::check(service, &call)?;
    Ok(page(html! {
        h2 { "Result" }
        (trial::transaction_of(service, &tried))
    }))
}

/// A function of a running contract.
#[derive(Clone, Copy)]
struct Called<'a> {
    contract: &'a Contract,
    function: Function,
}

fn find<'a>(
    service: &'a Service,
    contract: &str,
    function: &str,
) -> Result<Called<'a>, QueryError> {
    let contracts = &service.trial.contracts;
    let found = contracts.get(contract).ok_or_else(|| {
        let help = did_you_mean(contract, contracts.iter().map(|contract| &*contract.name));
        QueryError::NotFound(format!("there is no running contract `{contract}`; {help}"))
    })?;
    let mut functions = found.functions().iter();
    let offered = functions.find(|offered| offered.name() == function).ok_or_else(|| {
        let help = did_you_mean(function, found.functions().iter().map(|offered| offered.name()));
        QueryError::NotFound(format!("`{contract}` has no function `{function}`; {help}"))
    })?;
    Ok(Called { contract: found, function: *offered })
}

/// The fields of an asset, as form values.
fn filled_in(contract: &Contract, state: &Value) -> BTreeMap<String, String> {
    let at = |input: &Input| {
        let value = input.path.iter().try_fold(state, |value, name| value.get(name))?;
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((input.name(), shown))
    };
    contract.inputs().iter().filter_map(at).collect()
}

/// The fields of the form of a function, the key first.
fn inputs(contract: &Contract, function: Function) -> Vec<Input> {
    let key = contract.key();
    let (mut keys, mut others): (Vec<_>, Vec<_>) =
        contract.inputs().into_iter().partition(|input| input.name() == key);
    if keys.is_empty() {
        keys.push(Input {
            path: key.split('.').map(str::to_owned).collect(),
            types: std::iter::once(JsonType::String).collect(),
            choices: Vec::new(),
            description: String::new(),
            example: None,
        });
    }
    if matches!(function, Function::Create | Function::Update | Function::Replace) {
        keys.append(&mut others);
    }
    keys
}

impl Fields {
    fn take(given: &mut Parameters) -> Result<Self, QueryError> {
        let values = given.with_prefix(FIELD).into_iter();
        // A browser sends the ends of lines as two characters, whatever was typed.
        let mut text = |name| -> Result<String, QueryError> {
            Ok(given.text(name)?.unwrap_or_default().replace("\r\n", "\n"))
        };
        Ok(Self {
            values: values.collect(),
            properties: text("properties")?,
            more: text("more")?,
            time: text("time")?,
        })
    }

    fn to_request(
        &self,
        contract: &Contract,
        function: Function,
    ) -> Result<CallRequest, QueryError> {
        let refused = |message: String| QueryError::Malformed(message);
        let mut values = Vec::new();
        for input in inputs(contract, function) {
            let name = input.name();
            let Some(given) = self.values.get(&name).filter(|given| !given.is_empty()) else {
                continue;
            };
            let value = input.read(given).map_err(|error| refused(format!("`{name}`: {error}")))?;
            values.push((input.path, value));
        }
        if function == Function::DeleteProperties {
            let paths = self.properties.lines().map(str::trim).filter(|path| !path.is_empty());
            values.push((vec!["properties".to_owned()], paths.map(Value::from).collect()));
        }
        let mut arguments = arguments_of(values);
        if !self.more.trim().is_empty() {
            let more = json::parse(self.more.as_bytes())
                .map_err(|error| refused(format!("“More fields”: {error}")))?;
            let more = more.as_object().ok_or_else(|| {
                refused("“More fields” must be a JSON object such as {\"a\": 1}".to_owned())
            })?;
            for (name, value) in more.iter() {
                if arguments.get(name.as_str()).is_some() {
                    return Err(refused(format!("duplicate field `{name}`")));
                }
                arguments.insert(name.as_str(), value.clone());
            }
        }
        let time = Some(self.time.trim()).filter(|time| !time.is_empty()).map(str::to_owned);
        let contract = contract.name.to_string();
        Ok(CallRequest { contract, function, arguments: arguments.into(), time })
    }
}

/// The person who fills in a form, and whether the service takes manual calls.
#[derive(Clone, Copy)]
struct Sender<'a> {
    caller: &'a Caller,
    is_enabled: bool,
}

impl<'a> Sender<'a> {
    fn new(service: &Service, caller: &'a Caller) -> Self {
        Self { caller, is_enabled: service.calls.is_some() }
    }
}

fn content(
    Sender { caller, is_enabled }: Sender<'_>,
    Called { contract, function }: Called<'_>,
    fields: &Fields,
    result: Markup,
) -> Content {
    let action = address(&["operations", &contract.name, function.name()]);
    let key = contract.key();
    let body = html! {
        p { a href="/operations" { "All operations" } " · contract " (link(&address(&["contracts", &contract.name]), &contract.name)) " version " (contract.version) }
        p { (what_it_does(function)) }
        (notice(is_enabled, caller))
        div #result { (result) }
        form.fill action=(action) method="post" aria-label={ (function.name()) " of " (contract.name) } {
            div.inputs {
                @for input in inputs(contract, function) { (field(&input, fields, input.name() == key)) }
            }
            @if function == Function::DeleteProperties {
                label { "Properties to remove, one dotted path per line"
                    textarea name="properties" rows="3" spellcheck="false" required { "\n" (fields.properties) }
                }
            }
            @if matches!(function, Function::Create | Function::Update | Function::Replace) {
                label { "More fields, as a JSON object"
                    textarea name="more" rows="2" spellcheck="false" { "\n" (fields.more) }
                }
            }
            div.search {
                label { "Time of the event (empty for now)"
                    input name="time" value=(fields.time) placeholder="2026-01-31T12:00:00Z" autocomplete="off";
                }
                @if caller.may(Role::Operator) {
                    button type="submit" name="do" value="check" { "Check" }
                    @if is_enabled {
                        button type="submit" name="do" value="submit" { "Sign and submit as " (text(caller.name())) }
                    }
                }
            }
        }
    };
    let title = format!("{} of {}", function.name(), contract.name);
    Content { title, is_live: false, body }
}

fn what_it_does(function: Function) -> &'static str {
    match function {
        Function::Create => "Creates an asset. Refused if the asset exists.",
        Function::Update => "Changes the fields that are filled in and keeps all others.",
        Function::Replace => "Replaces the whole state: fields left empty are removed.",
        Function::Delete => "Deletes the asset. Its history remains.",
        Function::DeleteProperties => "Removes properties from the state.",
    }
}

fn field(input: &Input, fields: &Fields, is_key: bool) -> Markup {
    let name = input.name();
    let field = format!("{FIELD}{name}");
    let value = fields.values.get(&name).map(String::as_str).unwrap_or_default();
    let is_only = |kinds: &[JsonType]| {
        !input.types.is_empty() && input.types.iter().all(|kind| kinds.contains(kind))
    };
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let choices: Vec<String> = match is_only(&[JsonType::Boolean]) {
        true => vec!["true".to_owned(), "false".to_owned()],
        false => input.choices.iter().map(shown).collect(),
    };
    let example = input.example.as_ref().map(shown).unwrap_or_default();
    html! {
        label {
            span { (text(&name)) @if is_key { " (key)" } }
            @if !choices.is_empty() {
                select name=(field) required[is_key] {
                    option value="" {}
                    @for choice in &choices { option value=(choice) selected[choice == value] { (text(choice)) } }
                }
            } @else if is_only(&[JsonType::Number, JsonType::Integer]) {
                input name=(field) value=(value) inputmode="decimal" placeholder=(example) autocomplete="off" required[is_key];
            } @else if is_only(&[JsonType::Array, JsonType::Object]) {
                textarea name=(field) rows="2" spellcheck="false" placeholder=(example) { "\n" (value) }
            } @else {
                input name=(field) value=(value) placeholder=(example) autocomplete="off" required[is_key];
            }
            @if !input.description.is_empty() { small { (text(&input.description)) } }
        }
    }
}
