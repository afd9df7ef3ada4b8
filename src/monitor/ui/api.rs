//! The API for readers: every operation of its document, with what it takes, what it answers and the
//! line that asks it.

use maud::{Markup, html};
use serde_json::Value;

use crate::monitor::http::request::Parameters;
use crate::monitor::ui::Made;
use crate::monitor::ui::parts::{Row, cell, json_block, table};
use crate::monitor::ui::shell::Content;
use crate::query::json;

/// The shell variable with the endpoint's address.
const BASE: &str = "$LEDGERLINE";

/// The whole document.
pub fn page(document: &Value, given: Parameters) -> Made {
    given.finish()?;
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let body = html! {
        p {
            "Generated from " a href="/api/v1/openapi.json" { "the OpenAPI 3.1 document" }
            ". The commands below assume "
            code { "LEDGERLINE=http://127.0.0.1:8780" } " (use the address of this endpoint); to send a token, add "
            code { "-H \"authorization: Bearer …\"" } "."
        }
        (prose(said(&document["info"], "description")))
        p { "The examples come from a small ledger of containers; contracts and keys differ elsewhere." }
        nav aria-label="Operations" {
            dl.facts {
                @for tag in tags {
                    @let name = said(tag, "name");
                    div { dt { (name) } dd { (index(&operations(document, name))) } }
                }
            }
        }
        @for tag in tags {
            @let name = said(tag, "name");
            h2 { (name) }
            p { (said(tag, "description")) }
            @for (method, path, operation) in operations(document, name) {
                (described(document, (method, path), operation))
            }
        }
    };
    Ok(Content { title: "API".to_owned(), is_live: false, body })
}

fn said<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

/// Method, path and description of each operation with a tag.
fn operations<'a>(document: &'a Value, tag: &str) -> Vec<(&'a str, &'a str, &'a Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let of_path = |(path, item): (&'a String, &'a Value)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    };
    paths.flat_map(of_path).filter(|(_, _, operation)| operation["tags"][0] == tag).collect()
}

/// Links to operations.
fn index(operations: &[(&str, &str, &Value)]) -> Markup {
    html! {
        @for (at, (_, _, operation)) in operations.iter().enumerate() {
            @let id = said(operation, "operationId");
            @if at > 0 { " · " }
            a href={ "#" (id) } { (id) }
        }
    }
}

fn described(document: &Value, (method, path): (&str, &str), operation: &Value) -> Markup {
    let id = said(operation, "operationId");
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = parameters.iter().map(parameter).collect();
    html! {
        section aria-labelledby=(id) {
            h3 id=(id) { (method.to_uppercase()) " " code { (path) } }
            p { (said(operation, "summary")) }
            (prose(said(operation, "description")))
            @if let Some(role) = operation["x-role"].as_str().filter(|role| *role != "viewer") {
                p { "Requires the " strong { (role) } " role." }
            }
            @if !rows.is_empty() {
                (table(&format!("Parameters of {id}"), &["Parameter", "Meaning", "Values"], &rows, ""))
            }
            pre tabindex="0" { code { (asked(method, operation)) } }
            @for (status, answer) in answers(operation) {
                (answered(document, status, answer))
            }
        }
    }
}

fn parameter(parameter: &Value) -> Row {
    let place = match said(parameter, "in") {
        "path" => "in the path",
        "header" => "a header",
        _ => "",
    };
    vec![
        cell(html! {
            code { (said(parameter, "name")) }
            @if !place.is_empty() { br; small { (place) } }
        }),
        cell(inline(said(parameter, "description"))),
        cell(html! { (values(&parameter["schema"])) }),
    ]
}

/// The permitted values of a parameter's schema, in words.
fn values(schema: &Value) -> String {
    let mut said = Vec::new();
    if let Some(names) = schema["enum"].as_array() {
        said.push(names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    } else if schema["format"] == "date-time" {
        said.push("a time".to_owned());
    } else {
        said.extend(schema["type"].as_str().map(|kind| match kind {
            "string" => "text".to_owned(),
            "object" => "texts by field".to_owned(),
            "boolean" => "true or false".to_owned(),
            _ => "a number".to_owned(),
        }));
    }
    let bound = |name: &str| schema.get(name).filter(|value| value.is_number());
    if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum"))
        && schema.get("format").is_none()
    {
        said.push(format!("{least} to {most}"));
    }
    if let Some(default) = schema.get("default") {
        said.push(match default {
            Value::String(text) => format!("default {text}"),
            other => format!("default {other}"),
        });
    }
    said.join("; ")
}

/// The line of a shell that asks an operation's example.
fn asked(method: &str, operation: &Value) -> String {
    let address = format!("\"{BASE}{}\"", said(operation, "x-example"));
    match &operation["requestBody"]["content"]["application/json"]["example"] {
        Value::Null => format!("curl -sS {address}"),
        body => {
            let body = json::to_text(body).replace('\'', "'\\''");
            let method = method.to_uppercase();
            format!(
                "curl -sS -X {method} {address} -H 'content-type: application/json' \\\n  -d '{body}'"
            )
        }
    }
}

/// Good answers by status.
fn answers(operation: &Value) -> Vec<(&String, &Value)> {
    let answers = operation["responses"].as_object().into_iter().flatten();
    answers.filter(|(status, _)| status.starts_with('2')).collect()
}

fn answered(document: &Value, status: &str, answer: &Value) -> Markup {
    let forms = answer["content"].as_object().into_iter().flatten();
    html! {
        @for (kind, form) in forms {
            details {
                summary { (status) " " code { (kind) } }
                @if let Some(example) = form.get("example") {
                    @match example {
                        Value::String(lines) => pre tabindex="0" { code { (json::visible(lines)) } },
                        example => (json_block(example)),
                    }
                }
                (members(document, &form["schema"]))
            }
        }
    }
}

/// The members of an answer, where its schema has a name.
fn members(document: &Value, schema: &Value) -> Markup {
    let named = said(schema, "$ref").strip_prefix('#').and_then(|at| document.pointer(at));
    let Some(properties) = named.and_then(|schema| schema["properties"].as_object()) else {
        return html! {};
    };
    let row = |(name, schema): (&String, &Value)| {
        vec![cell(html! { code { (name) } }), cell(inline(said(schema, "description")))]
    };
    let rows: Vec<_> = properties.iter().map(row).collect();
    table("Members", &["Member", "Meaning"], &rows, "")
}

/// Paragraphs and lists of the little Markdown that the document has.
fn prose(markdown: &str) -> Markup {
    html! {
        @for block in markdown.split("\n\n").filter(|block| !block.is_empty()) {
            @if let Some(list) = block.strip_prefix("* ") {
                ul { @for item in list.split("\n* ") { li { (inline(item)) } } }
            } @else {
                p { (inline(block)) }
            }
        }
    }
}

/// Code between `` ` `` and weight between `**`.
fn inline(markdown: &str) -> Markup {
    html! {
        @for (at, piece) in markdown.split('`').enumerate() {
            @if at % 2 == 1 {
                code { (piece) }
            } @else {
                @for (at, piece) in piece.split("**").enumerate() {
                    @if at % 2 == 1 { strong { (piece) } } @else { (piece) }
                }
            }
        }
    }
}
