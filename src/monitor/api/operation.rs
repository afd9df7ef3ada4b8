//! One operation of the API: its route and its entry in the OpenAPI document, made from one definition.
//!
//! The parameters of the entry are found by letting the operation take them from an empty address, and
//! the schema of the answer is that of the type it returns, so neither can differ from the description.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::monitor::access::Caller;
use crate::monitor::http::asking::{Answer, App, ask_json};
use crate::monitor::http::body;
use crate::monitor::http::parameter::Parameter;
use crate::monitor::http::request::{InPath, Parameters};
use crate::monitor::http::route::{Kind, Needs, Route, Rule};
use crate::query::QueryError;

/// Description and place of an operation.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name in programs made of the document, `camelCase`.
    pub id: &'static str,
    /// The part of the API that it belongs to.
    pub tag: Tag,
    /// Its address; names in braces.
    pub path: &'static str,
    /// The names in its address, in order.
    pub names: &'static [Parameter],
    /// A summary in one line.
    pub summary: &'static str,
    /// More of it, in Markdown; may be empty.
    pub more: &'static str,
    /// The parameters of its example, as they stand in an address.
    pub example: &'static str,
}

/// Parts of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Blocks, transactions, proofs.
    Ledger,
    /// Assets and alerts.
    State,
    /// Records that produced no transaction.
    DeadLetters,
    /// Mappings and contracts.
    Definitions,
    /// The running program.
    Service,
}

impl Tag {
    /// All, in the order of the document.
    pub const ALL: [Self; 5] =
        [Self::Service, Self::Ledger, Self::State, Self::DeadLetters, Self::Definitions];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ledger => "Ledger",
            Self::State => "State",
            Self::DeadLetters => "Dead letters",
            Self::Definitions => "Definitions",
            Self::Service => "Service",
        }
    }

    /// A description of its operations.
    pub fn about(self) -> &'static str {
        match self {
            Self::Ledger => "Blocks, transactions and their proofs.",
            Self::State => "Results of the contracts: assets, their alerts and history.",
            Self::DeadLetters => "Records that could not become a transaction.",
            Self::Definitions => "Mappings and contracts as the ledger recorded them.",
            Self::Service => "The running service: health, events and findings.",
        }
    }
}

/// One form of a good answer.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Its status.
    pub status: StatusCode,
    /// Its media type.
    pub kind: &'static str,
    /// Its schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Form {
    /// A view as JSON.
    pub fn json<T: JsonSchema>() -> Self {
        Self {
            schema: |generator| generator.subschema_for::<T>(),
            ..Self::text("application/json")
        }
    }

    /// Text of a media type.
    pub fn text(kind: &'static str) -> Self {
        let schema = |generator: &mut SchemaGenerator| generator.subschema_for::<String>();
        Self { status: StatusCode::OK, kind, schema }
    }
}

/// The contents of a JSON body.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// Its schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// One that can be sent, as JSON.
    pub example: &'static str,
}

/// Parses an operation's parameters. It must take all of them, present or not.
pub type Take<Q> = fn(&mut Parameters) -> Result<Q, QueryError>;

/// The entry of an operation in the OpenAPI document.
pub struct Entry {
    /// Its description.
    pub about: About,
    /// Parameters that it takes, as it takes them.
    pub parameters: Vec<Parameter>,
    /// Headers that it reads.
    pub headers: &'static [Parameter],
    /// The body of the request.
    pub body: Option<Body>,
    /// The forms of its answer.
    pub forms: Vec<Form>,
    /// True if its answers bear an entity tag.
    pub is_tagged: bool,
    /// True if it may end without anyone knowing what came of it.
    pub may_stay_unknown: bool,
}

/// One operation: a route in the making.
pub struct Operation {
    entry: Entry,
    rule: Rule,
    handlers: MethodRouter<App>,
}

impl From<Operation> for Route {
    fn from(operation: Operation) -> Self {
        let Operation { entry, rule, handlers } = operation;
        Self::new(entry.about.path, Kind::Operation(Box::new(entry)), rule, handlers)
    }
}

/// A request of an operation.
pub struct Asked<N, Q> {
    /// The application.
    pub app: App,
    /// Names in its path.
    pub names: N,
    /// The parsed parameters.
    pub asked: Q,
    /// The caller; `None` on a public route.
    pub caller: Option<Caller>,
    /// Its headers.
    pub headers: HeaderMap,
}

/// An operation that one question answers, with a view as JSON.
pub fn question<N, Q, T>(
    about: About,
    take: Take<Q>,
    answer: impl Fn(&App, N, Q) -> Result<T, QueryError> + Copy + Send + Sync + 'static,
) -> Operation
where
    N: DeserializeOwned + Send + 'static,
    Q: Send + 'static,
    T: Serialize + JsonSchema + 'static,
{
    let handle = move |request: Asked<N, Q>| async move {
        let Asked { app, names, asked, .. } = request;
        ask_json(app.clone(), move |_| answer(&app, names, asked)).await
    };
    handled(about, take, vec![Form::json::<T>()], handle).tagged()
}

/// An operation with an answer of these forms.
pub fn handled<N, Q, F>(
    about: About,
    take: Take<Q>,
    forms: Vec<Form>,
    handle: impl Fn(Asked<N, Q>) -> F + Copy + Send + Sync + 'static,
) -> Operation
where
    N: DeserializeOwned + Send + 'static,
    Q: Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let handler = move |app: App,
                        InPath(names): InPath<N>,
                        caller: Option<Caller>,
                        uri: Uri,
                        headers: HeaderMap| async move {
        let mut parameters = Parameters::exact(&uri)?;
        let asked = take(&mut parameters)?;
        parameters.finish()?;
        handle(Asked { app, names, asked, caller, headers }).await
    };
    Operation {
        entry: Entry {
            about,
            parameters: taken(take),
            headers: &[],
            body: None,
            forms,
            is_tagged: false,
            may_stay_unknown: false,
        },
        rule: Rule { method: Method::GET, needs: Needs::VIEWER },
        handlers: get(handler),
    }
}

/// A request of an operation that is sent a body.
pub struct Sent<B, Q> {
    /// The application.
    pub app: App,
    /// The caller.
    pub caller: Caller,
    /// The parsed parameters.
    pub asked: Q,
    /// The request's body.
    pub body: B,
}

/// An operation that is sent JSON, with answers of these forms.
pub fn sent<B, Q, F>(
    about: About,
    take: Take<Q>,
    forms: Vec<Form>,
    handle: impl Fn(Sent<B, Q>) -> F + Copy + Send + Sync + 'static,
) -> Operation
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    Q: Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let handler = move |app: App, caller: Caller, request: Request| async move {
        let mut parameters = Parameters::exact(request.uri())?;
        let asked = take(&mut parameters)?;
        parameters.finish()?;
        let body = body::json(&app, request).await?;
        handle(Sent { app, caller, asked, body }).await
    };
    let body = Body { schema: |generator| generator.subschema_for::<B>(), example: "" };
    Operation {
        entry: Entry {
            about,
            parameters: taken(take),
            headers: &[],
            body: Some(body),
            forms,
            is_tagged: false,
            may_stay_unknown: false,
        },
        rule: Rule { method: Method::POST, needs: Needs::VIEWER },
        handlers: post(handler),
    }
}

/// The parameters that are taken, present or not.
fn taken<Q>(take: Take<Q>) -> Vec<Parameter> {
    let mut none = Parameters::none();
    // With nothing given there is nothing to refuse.
    let _ = take(&mut none);
    none.known().to_vec()
}

/// Takes nothing.
#[allow(clippy::unnecessary_wraps)] // of the form that every operation takes its parameters in
pub fn nothing(_: &mut Parameters) -> Result<(), QueryError> {
    Ok(())
}

impl Operation {
    /// The same, which also reads these headers.
    pub fn reads(mut self, headers: &'static [Parameter]) -> Self {
        self.entry.headers = headers;
        self
    }

    /// The same, for those who have this role.
    pub fn needs(mut self, needs: Needs) -> Self {
        self.rule.needs = needs;
        self
    }

    /// The same, with a body that can be sent, as JSON.
    pub fn example(mut self, example: &'static str) -> Self {
        self.entry.body.iter_mut().for_each(|body| body.example = example);
        self
    }

    /// The same, where it may end without anyone knowing what came of it.
    pub fn may_stay_unknown(mut self) -> Self {
        self.entry.may_stay_unknown = true;
        self
    }

    /// The same, with an entity tag on its answers.
    pub fn tagged(mut self) -> Self {
        self.entry.is_tagged = true;
        self
    }
}

impl Entry {
    /// The address of its example.
    pub fn example(&self) -> String {
        let mut path = self.about.path.to_owned();
        for name in self.about.names {
            path = path.replace(&format!("{{{}}}", name.name), name.example);
        }
        match self.about.example {
            "" => path,
            query => format!("{path}?{query}"),
        }
    }
}
