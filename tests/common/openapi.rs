//! The API's own description: its operations, and whether an answer is as it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::endpoint::{Reply, get};

/// The document of an endpoint, with its schemas compiled.
pub struct Document {
    pub whole: Value,
    pub operations: Vec<Operation>,
    problem: Validator,
    /// Schemas of the stream's events, by name.
    events: BTreeMap<String, Validator>,
}

/// One operation of a document.
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub described: Value,
    /// Schemas of its good answers, by status and media type.
    forms: BTreeMap<(u16, String), Validator>,
}

impl Document {
    pub fn of(address: SocketAddr) -> Self {
        let reply = get(address, "/api/v1/openapi.json");
        assert_eq!((reply.status, reply.kind()), (200, "application/json"));
        let whole = reply.json();
        let strict = strict(&whole["components"]);
        let problem = "/components/responses/NotFound/content/application~1problem+json/schema";
        let problem = compiled(&strict, whole.pointer(problem).unwrap());
        let mut operations = Vec::new();
        for (path, item) in whole["paths"].as_object().unwrap() {
            for (method, described) in item.as_object().unwrap() {
                operations.push(Operation::new(path, method, described, &strict));
            }
        }
        let stream = &whole["paths"]["/api/v1/stream"]["get"]["responses"]["200"]["content"];
        let events = stream["text/event-stream"]["schema"]["x-events"].as_object().unwrap();
        let event = |(name, schema): (&String, &Value)| (name.clone(), compiled(&strict, schema));
        let events = events.iter().map(event).collect();
        Self { whole, operations, problem, events }
    }

    pub fn operation(&self, id: &str) -> &Operation {
        self.operations.iter().find(|operation| operation.id == id).unwrap()
    }

    /// The error in the data of a stream event.
    pub fn wrong_event(&self, name: &str, data: &Value) -> Option<String> {
        violation(&self.events[name], data)
    }

    /// The error in an answer of an operation; nothing if the document allows it.
    pub fn wrong(&self, operation: &Operation, reply: &Reply) -> Option<String> {
        let status = reply.status.to_string();
        if !operation.described["responses"].as_object().unwrap().contains_key(&status) {
            return Some(format!("the status {status} is not described: {}", reply.text()));
        }
        match reply.status {
            200 | 201 => operation.wrong(reply),
            304 => (!reply.body.is_empty()).then(|| "304 with a body".to_owned()),
            _ if reply.kind() != "application/problem+json" => {
                Some(format!("an error of the kind {}: {}", reply.kind(), reply.text()))
            }
            _ => violation(&self.problem, &reply.json()).or_else(|| {
                (reply.json()["status"] != json!(reply.status)).then(|| "another status".to_owned())
            }),
        }
    }
}

impl Operation {
    fn new(path: &str, method: &str, described: &Value, components: &Value) -> Self {
        let mut forms = BTreeMap::new();
        for status in [200, 201] {
            let content = &described["responses"][status.to_string()]["content"];
            for (kind, media) in content.as_object().into_iter().flatten() {
                forms.insert((status, kind.clone()), compiled(components, &media["schema"]));
            }
        }
        Self {
            id: described["operationId"].as_str().unwrap().to_owned(),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            described: described.clone(),
            forms,
        }
    }

    /// Its parameters at a place: `path`, `query` or `header`.
    pub fn parameters(&self, place: &str) -> Vec<&Value> {
        let all = self.described["parameters"].as_array().unwrap();
        all.iter().filter(|parameter| parameter["in"] == place).collect()
    }

    /// The address of its example.
    pub fn example(&self) -> &str {
        self.described["x-example"].as_str().unwrap()
    }

    /// True if its answers bear an entity tag.
    pub fn is_tagged(&self) -> bool {
        self.described["responses"].get("304").is_some()
    }

    fn wrong(&self, reply: &Reply) -> Option<String> {
        let kind = reply.kind().split(';').next().unwrap();
        let Some(form) = self.forms.get(&(reply.status, kind.to_owned())) else {
            return Some(format!("the media type {kind} is not described"));
        };
        match kind {
            "application/json" => violation(form, &reply.json()),
            "application/jsonl" => {
                let text = reply.text();
                text.lines().find_map(|line| violation(form, &serde_json::from_str(line).unwrap()))
            }
            _ => violation(form, &json!(reply.text())),
        }
    }
}

/// Components whose objects have no members but those that they describe.
fn strict(components: &Value) -> Value {
    let mut components = components.clone();
    for schema in components["schemas"].as_object_mut().unwrap().values_mut() {
        if schema.get("properties").is_some() {
            schema["unevaluatedProperties"] = json!(false);
        }
    }
    components
}

fn compiled(components: &Value, schema: &Value) -> Validator {
    let mut whole = json!({"components": components});
    whole["allOf"] = json!([schema]);
    let options = jsonschema::options().with_draft(Draft::Draft202012);
    options.should_validate_formats(true).build(&whole).unwrap()
}

pub fn violation(schema: &Validator, value: &Value) -> Option<String> {
    let error = schema.iter_errors(value).next()?;
    Some(format!("{error} at {} of {value}", error.instance_path()))
}
