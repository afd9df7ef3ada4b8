//! The OpenAPI 3.1 document, made from the operations of the table of routes: <https://spec.openapis.org/oas/v3.1.1.html>.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::monitor::access;
use crate::monitor::api::operation::{Entry, Tag};
use crate::monitor::http::answer::Problem;
use crate::monitor::http::parameter::{Parameter, Role};
use crate::monitor::http::route::{Kind, Needs, Table};

/// Real answers to the examples of the operations, by `operationId`. A test holds them to what the
/// endpoint answers.
const EXAMPLES: &str = include_str!("examples.json");

/// Introduction of the document.
const ABOUT: &str = "\
All data of the pages. Reading needs no credentials on the machine itself; elsewhere the operator \
of the service provides them.

* **Errors** are `application/problem+json` (RFC 9457); `detail` states the cause and the remedy.
* **Lists** come in pages. If a page has `next`, there is another one; the link `next` of the operation names \
the parameter for it. A page may have few or no items and still have `next`: the search reached its limit.
* **HEAD** is answered wherever GET is, with the same headers; **OPTIONS** everywhere, with `Allow`.
* **Conditional requests**: an answer with the same `ETag` is unchanged; send it in `If-None-Match` to get 304 \
instead.
* **Values**: digests are hexadecimal, times RFC 3339 in UTC, bytes base64. Numbers of devices are as \
they were sent, with all their digits; indexes, offsets and sizes go up to 2⁶⁴-1.
* **Texts of devices** have everything escaped (`\\u…`) that steers a terminal or means something to HTML.
* **Tiles** of the tree are at `/tile/…` as C2SP tlog-tiles says; their paths have a variable number \
of segments, so they are not listed here.";

/// Statuses that any operation may answer with, as components.
const PROBLEMS: &[(&str, &str, &str)] = &[
    ("400", "BadRequest", "The request is malformed; `detail` says which part."),
    ("401", "Unauthorized", "No credentials, or invalid ones."),
    ("403", "Forbidden", "The credentials do not permit this."),
    ("404", "NotFound", "Not found; `detail` says what was looked for."),
    ("405", "MethodNotAllowed", "Method not allowed; `Allow` lists the allowed ones."),
    ("408", "RequestTimeout", "The body did not come in time."),
    ("413", "ContentTooLarge", "The body is too large, or none is accepted here."),
    ("414", "UriTooLong", "The address is too long."),
    ("415", "UnsupportedMediaType", "The media type of the body is not supported here."),
    (
        "421",
        "Misdirected",
        "The endpoint only serves its own machine, and the host name is another one.",
    ),
    ("429", "TooManyRequests", "Too many requests; `Retry-After` says when to retry."),
    ("431", "HeadersTooLarge", "The headers are too many or too long."),
    ("500", "InternalError", "The ledger or its state cannot be read; the log says why."),
    ("504", "GatewayTimeout", "The outcome is unknown; `detail` says what to do."),
    ("503", "Unavailable", "Too busy, or not ready; `Retry-After` says when to retry."),
];

/// Generators of schemas: a field with a default may be omitted from input, but is always present
/// in output.
struct Generators {
    given: SchemaGenerator,
    sent: SchemaGenerator,
}

/// The document.
pub fn document(table: &Table) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let sent = settings.clone().for_deserialize();
    let given = settings.with_transform(RecursiveTransform(absent_is_not_null));
    let mut generators = Generators { given: given.into_generator(), sent: sent.into_generator() };
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let mut paths = Map::new();
    for row in table.rows() {
        let Kind::Operation(entry) = &row.kind else { continue };
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        for rule in row.methods.rules() {
            let described =
                Described { entry, needs: rule.needs, example: &examples[entry.about.id] };
            let method = rule.method.as_str().to_ascii_lowercase();
            path[method] = described.to_value(&mut generators);
        }
    }
    let problems = problems(&mut generators.given);
    let mut schemas = generators.given.take_definitions(true);
    schemas.extend(generators.sent.take_definitions(true));
    let tags = Tag::ALL.map(|tag| json!({"name": tag.name(), "description": tag.about()}));
    json!({
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Ledgerline",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Blocks, transactions and state of a ledger of device events.",
            "description": ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/", "description": "The service that provided this document."}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problems,
            "headers": headers(),
            "securitySchemes": security_schemes(),
        },
        "security": [{}, {"bearer": []}, {"certificate": []}],
    })
}

/// A member that may be absent is left out where it has no value: it is never `null`.
fn absent_is_not_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    let required = members.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = members.get_mut("properties") else { return };
    for (name, property) in properties {
        if !required.iter().any(|required| required == name)
            && let Some(Value::Array(types)) = property.get_mut("type")
        {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                property["type"] = only.clone();
            }
        }
    }
}

/// The means of authentication.
fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token issued by the operator of the service, or a JWT of the trusted identity \
                            provider.",
        },
        "certificate": {
            "type": "mutualTLS",
            "description": "A client certificate that the service knows.",
        },
    })
}

fn headers() -> Value {
    json!({
        "ETag": {
            "description": "Identifies exactly this answer (RFC 9110, section 8.8.3).",
            "schema": {"type": "string", "pattern": "^\"[0-9a-f]{32}\"$"},
        },
        "RetryAfter": {
            "description": "Seconds until the next attempt.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "Allow": {
            "description": "The allowed methods.",
            "schema": {"type": "string"},
        },
    })
}

fn problems(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let schema = generator.subschema_for::<Problem>().to_value();
    let describe = |(status, name, about): &(&str, &str, &str)| {
        let mut response = json!({
            "description": about,
            "content": {"application/problem+json": {"schema": schema}},
        });
        match *status {
            "429" | "503" => {
                response["headers"] =
                    json!({"Retry-After": {"$ref": "#/components/headers/RetryAfter"}});
            }
            "405" => response["headers"] = json!({"Allow": {"$ref": "#/components/headers/Allow"}}),
            _ => {}
        }
        // The head of the request could not be read: there is nothing to say more to.
        if ["414", "431"].contains(status) {
            response["content"] = json!({});
        }
        ((*name).to_owned(), response)
    };
    PROBLEMS.iter().map(describe).collect()
}

/// An operation as the document describes it.
struct Described<'a> {
    entry: &'a Entry,
    needs: Needs,
    /// A real answer; null for an operation without one.
    example: &'a Value,
}

impl Described<'_> {
    fn to_value(&self, generators: &mut Generators) -> Value {
        let entry = self.entry;
        let about = &entry.about;
        let names = about.names.iter().map(in_path);
        let parameters = entry.parameters.iter().map(in_query);
        let headers = entry.headers.iter().map(in_header);
        let parameters: Vec<_> = names.chain(parameters).chain(headers).collect();
        let mut described = json!({
            "operationId": about.id,
            "tags": [about.tag.name()],
            "summary": about.summary,
            "parameters": parameters,
            "responses": self.responses(&mut generators.given),
            "x-example": entry.example(),
        });
        if !about.more.is_empty() {
            described["description"] = about.more.into();
        }
        if let Some(body) = entry.body {
            let example: Value = serde_json::from_str(body.example).unwrap_or_default();
            let media = json!({"schema": (body.schema)(&mut generators.sent), "example": example});
            described["requestBody"] =
                json!({"required": true, "content": {"application/json": media}});
        }
        match self.needs.role() {
            None => described["security"] = json!([]),
            Some(role) => {
                described["x-role"] = role.to_string().into();
                if role > access::Role::Viewer {
                    described["security"] = json!([{"bearer": []}, {"certificate": []}]);
                }
            }
        }
        let cursor = entry.parameters.iter().find(|parameter| parameter.role == Role::Cursor);
        if let Some(cursor) = cursor {
            described["responses"]["200"]["links"] = links(about.id, cursor);
        }
        described
    }

    fn responses(&self, generator: &mut SchemaGenerator) -> Value {
        let Self { entry, needs, example } = self;
        let mut responses = Map::new();
        for (at, form) in entry.forms.iter().enumerate() {
            let status = responses
                .entry(form.status.as_str())
                .or_insert_with(|| json!({"description": entry.about.summary, "content": {}}));
            let mut media = json!({"schema": (form.schema)(generator)});
            // The first form is the one of the example.
            if at == 0 && !example.is_null() {
                media["example"] = (*example).clone();
            }
            status["content"][form.kind] = media;
        }
        if entry.is_tagged {
            responses["200"]["headers"] = json!({"ETag": {"$ref": "#/components/headers/ETag"}});
            let description = "The answer still matches `If-None-Match`.";
            responses.insert("304".to_owned(), json!({"description": description}));
        }
        for (status, name, _) in PROBLEMS {
            let has_role = needs.role().is_some();
            let can_be = match *status {
                "401" | "403" => has_role,
                "404" => !entry.about.names.is_empty(),
                "408" | "415" => entry.body.is_some(),
                "504" => entry.may_stay_unknown,
                _ => true,
            };
            if can_be {
                let problem = json!({"$ref": format!("#/components/responses/{name}")});
                responses.insert((*status).to_owned(), problem);
            }
        }
        Value::Object(responses)
    }
}

fn links(id: &str, cursor: &Parameter) -> Value {
    json!({
        "next": {
            "operationId": id,
            "parameters": {cursor.name: "$response.body#/next"},
            "description": "The next page, with the other parameters unchanged.",
        },
    })
}

fn in_path(name: &Parameter) -> Value {
    stated(name, "path", json!({"required": true}))
}

fn in_header(header: &Parameter) -> Value {
    stated(header, "header", json!({}))
}

fn in_query(parameter: &Parameter) -> Value {
    match parameter.role {
        // Each condition is a parameter of its own.
        Role::Prefix => stated(parameter, "query", json!({"style": "form", "explode": true})),
        Role::Required => stated(parameter, "query", json!({"required": true})),
        Role::Asks | Role::Cursor => stated(parameter, "query", json!({})),
    }
}

/// A parameter with what else is to be said of it.
fn stated(parameter: &Parameter, place: &str, more: Value) -> Value {
    let schema = (parameter.schema)();
    let mut stated = json!({
        "name": parameter.name,
        "in": place,
        "description": parameter.about,
        "example": example(parameter, &schema),
        "schema": schema,
    });
    if let (Some(stated), Value::Object(more)) = (stated.as_object_mut(), more) {
        stated.extend(more);
    }
    stated
}

/// The example of a parameter in the form of its schema.
fn example(parameter: &Parameter, schema: &Value) -> Value {
    match (parameter.role, schema["type"].as_str()) {
        (Role::Prefix, _) => match parameter.example.split_once('=') {
            Some((name, value)) => json!({name: value}),
            None => json!({}),
        },
        (_, Some("string")) => parameter.example.into(),
        _ => serde_json::from_str(parameter.example).unwrap_or_default(),
    }
}
