//! Operations on the running service, and on records that produced no transaction.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use schemars::json_schema;

use crate::event::SourcePosition;
use crate::monitor::api::ledger::transaction_id;
use crate::monitor::api::operation::{
    About, Asked, Form, Operation, Sent, Tag, handled, nothing, question, sent,
};
use crate::monitor::api::stream;
use crate::monitor::http::answer::{Problem, changing, live};
use crate::monitor::http::asking::{Answer, App, ask};
use crate::monitor::http::parameter;
use crate::monitor::http::request::Parameters;
use crate::monitor::http::route::Needs;
use crate::monitor::operations::{self, CallRequest};
use crate::monitor::service::Service;
use crate::monitor::{api, findings, metrics};
use crate::query::json;
use crate::query::page::letter_cursor;
use crate::query::trial::TrialRequest;
use crate::query::views::{TransactionView, TrialTransactionView, TrialView};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// A record to be tried.
const TRIED: &str = r#"{
    "topic": "telemetry",
    "key": "{\"deviceType\":\"reefer-40\",\"deviceId\":\"C-001\",\"timestamp\":\"2026-01-31T12:00:00Z\"}",
    "value": "{\"d\":{\"assetID\":\"C-001\",\"temperature\":9.5}}"
}"#;
/// A manual call.
const CALL: &str = r#"{
    "contract": "cold_chain",
    "function": "update",
    "arguments": {"assetID": "C-001", "temperature": 4.5}
}"#;

/// `/api/v1/status`.
pub fn status() -> Operation {
    let about = About {
        id: "getStatus",
        tag: Tag::Service,
        path: "/api/v1/status",
        names: &[],
        summary: "Everything at a glance: head, readiness, counts, partitions, alerts.",
        more: "",
        example: "",
    };
    question(about, nothing, |app: &App, (): (), ()| Ok(app.service.status()))
}

/// `/api/v1/findings`.
pub fn findings() -> Operation {
    let about = About {
        id: "listFindings",
        tag: Tag::Service,
        path: "/api/v1/findings",
        names: &[],
        summary: "Findings, worst first, with remedies.",
        more: "",
        example: "",
    };
    question(about, nothing, |app: &App, (): (), ()| {
        let samples = app.watched.samples();
        Ok(findings::findings(&app.service.status(), &samples.samples))
    })
}

/// `/api/v1/samples`.
pub fn samples() -> Operation {
    let about = About {
        id: "listSamples",
        tag: Tag::Service,
        path: "/api/v1/samples",
        names: &[],
        summary: "Samples of the last ten minutes, oldest first.",
        more: "Kept in memory: empty after a start.",
        example: "",
    };
    question(about, nothing, |app: &App, (): (), ()| Ok(app.watched.samples()))
}

/// `/api/v1/throughput`.
pub fn throughput() -> Operation {
    let about = About {
        id: "listThroughput",
        tag: Tag::Definitions,
        path: "/api/v1/throughput",
        names: &[],
        summary: "Counters of each running mapping and contract since this process started.",
        more: "",
        example: "",
    };
    question(about, nothing, |app: &App, (): (), ()| {
        Ok(app.service.throughput(&app.watched.samples().samples))
    })
}

/// `/api/v1/stream`.
pub fn stream() -> Operation {
    let about = About {
        id: "stream",
        tag: Tag::Service,
        path: "/api/v1/stream",
        names: &[],
        summary: "What happens, as server-sent events.",
        more: "Events named `block`, `transaction`, `alert` and `dead_letter` carry their position in the \
               log as their id; `x-events` in the schema says what their data is. A client that reconnects sends \
               `Last-Event-ID` and misses nothing. `status` has no id. The stream ends \
               after a while; clients reconnect automatically.",
        example: "from=0&events=block",
    };
    let forms = vec![Form { schema: stream::schema, ..Form::text("text/event-stream") }];
    let handle = |request: Asked<(), stream::Wanted>| {
        stream::stream(request.app, request.headers, request.asked)
    };
    handled(about, stream::take, forms, handle).reads(&[parameter::LAST_EVENT_ID])
}

/// `/checkpoint`.
pub fn checkpoint() -> Operation {
    let about = About {
        id: "getCheckpoint",
        tag: Tag::Ledger,
        path: "/checkpoint",
        names: &[],
        summary: "The newest signed checkpoint (C2SP tlog-checkpoint).",
        more: "The tree itself is served below `/tile/`, in the form of C2SP tlog-tiles.",
        example: "",
    };
    let handle = |request: Asked<(), ()>| answer_checkpoint(request.app);
    handled(about, nothing, vec![Form::text("text/plain")], handle).tagged()
}

async fn answer_checkpoint(app: App) -> Answer {
    let checkpoint = ask(app, |service| service.queries.checkpoint()).await?;
    Ok(changing(TEXT, checkpoint))
}

/// `POST /api/v1/try`.
pub fn try_record() -> Operation {
    let about = About {
        id: "tryRecord",
        tag: Tag::Service,
        path: "/api/v1/try",
        names: &[],
        summary: "Dry run of a record. Nothing is submitted.",
        more: "Uses the running mappings, contracts and state.",
        example: "",
    };
    sent(about, nothing, vec![Form::json::<TrialView>()], answer_try).example(TRIED)
}

async fn answer_try(request: Sent<TrialRequest, ()>) -> Answer {
    let Sent { app, body, .. } = request;
    let tried = move |service: &Service| service.trial.run(&service.queries, body, json::to_text);
    Ok(live(JSON, ask(app, tried).await?))
}

/// The parameters of a manual call besides its body.
#[derive(Debug, Clone, Copy)]
struct IsCheck(bool);

/// `POST /api/v1/calls`.
pub fn call() -> Operation {
    let about = About {
        id: "submitCall",
        tag: Tag::Ledger,
        path: "/api/v1/calls",
        names: &[],
        summary: "Submits a signed call of a contract under the caller's name.",
        more: "201 means durable. With `dry_run` nothing is submitted, and the answer with status 200 has \
               the result. 504 means that it is unknown whether the call will still be committed: look at the newest transactions before sending it again.",
        example: "dry_run=true",
    };
    let take =
        |given: &mut Parameters| Ok(IsCheck(given.parsed(parameter::DRY_RUN)?.unwrap_or(false)));
    let done = Form { status: StatusCode::CREATED, ..Form::json::<TransactionView>() };
    let forms = vec![Form::json::<TrialTransactionView>(), done];
    let call = sent(about, take, forms, answer_call);
    call.example(CALL).needs(Needs::OPERATOR).may_stay_unknown()
}

async fn answer_call(request: Sent<CallRequest, IsCheck>) -> Answer {
    let Sent { app, caller, asked: IsCheck(is_check), body } = request;
    if is_check {
        let check =
            move |service: &Service| operations::check(service, &body.by(service, caller.name())?);
        return Ok(live(JSON, json::to_text(&ask(app, check).await?)));
    }
    let submit =
        move |service: &Service| operations::submit(service, &body.by(service, caller.name())?);
    let done = ask(app, submit).await?;
    let location = format!("/api/v1/transactions/{}", done.summary.id);
    let body = live(JSON, json::to_text(&done));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

/// `/healthz`.
pub fn health() -> Operation {
    let about = About {
        id: "getHealth",
        tag: Tag::Service,
        path: "/healthz",
        names: &[],
        summary: "Liveness.",
        more: "",
        example: "",
    };
    let handle = |_: Asked<(), ()>| async { Ok(changing(TEXT, "alive\n".to_owned())) };
    handled(about, nothing, vec![Form::text("text/plain")], handle).tagged().needs(Needs::Nothing)
}

/// `/readyz`.
pub fn readiness() -> Operation {
    let about = About {
        id: "getReadiness",
        tag: Tag::Service,
        path: "/readyz",
        names: &[],
        summary: "Readiness: 200 if ingesting, else 503 with the reasons.",
        more: "",
        example: "",
    };
    let handle = |request: Asked<(), ()>| answer_readiness(request);
    handled(about, nothing, vec![Form::text("text/plain")], handle).tagged().needs(Needs::Nothing)
}

/// Anyone may ask, but what is in the way may name brokers and folders.
async fn answer_readiness(request: Asked<(), ()>) -> Answer {
    let obstacles = request.app.service.obstacles();
    if obstacles.is_empty() {
        return Ok(changing(TEXT, "ready\n".to_owned()));
    }
    let detail = match request.caller {
        Some(_) => obstacles.join("; "),
        None => "not ready; callers with the viewer role get the reasons".to_owned(),
    };
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
}

/// `/metrics`.
pub fn metrics() -> Operation {
    let about = About {
        id: "getMetrics",
        tag: Tag::Service,
        path: "/metrics",
        names: &[],
        summary: "Metrics in the Prometheus text format.",
        more: "",
        example: "",
    };
    let handle = |request: Asked<(), ()>| answer_metrics(request.app);
    handled(about, nothing, vec![Form::text("text/plain")], handle)
}

/// Answers also when all places are taken: that is when someone looks.
async fn answer_metrics(app: App) -> Answer {
    match metrics::to_text(&app.service, &app.watched.samples().samples) {
        Ok(text) => Ok(live(metrics::CONTENT_TYPE, text)),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            let detail = format!("the metrics cannot be written: {error}");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
    }
}

/// `/api/v1/openapi.json`.
pub fn openapi() -> Operation {
    let about = About {
        id: "getDocument",
        tag: Tag::Service,
        path: "/api/v1/openapi.json",
        names: &[],
        summary: "This document (OpenAPI 3.1).",
        more: "",
        example: "",
    };
    let forms = vec![Form { schema: |_| json_schema!({"type": "object"}), ..Form::text(JSON) }];
    let handle =
        |request: Asked<(), ()>| async move { Ok(changing(JSON, api::text(&request.app))) };
    handled(about, nothing, forms, handle).tagged()
}

/// `/api/v1/deadletters`.
pub fn dead_letters() -> Operation {
    let about = About {
        id: "listDeadLetters",
        tag: Tag::DeadLetters,
        path: "/api/v1/deadletters",
        names: &[],
        summary: "Dead letters, newest first: all, or those with a cause.",
        more: "",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| {
        let before = given.text(parameter::BEFORE_LETTER)?;
        let cause = given.text(parameter::CAUSE)?;
        let limit = given.limit()?;
        Ok((before.as_deref().map(letter_cursor).transpose()?, cause, limit))
    };
    question(about, take, |app: &App, (): (), (before, cause, limit)| {
        let cause: Option<String> = cause;
        app.service.queries.dead_letters(before, cause.as_deref(), limit)
    })
}

/// `/api/v1/deadletters/{topic}/{partition}/{offset}`.
pub fn dead_letter() -> Operation {
    let about = About {
        id: "getDeadLetter",
        tag: Tag::DeadLetters,
        path: "/api/v1/deadletters/{topic}/{partition}/{offset}",
        names: &[parameter::TOPIC, parameter::PARTITION, parameter::LETTER_OFFSET],
        summary: "A dead letter with the bytes of its record.",
        more: "",
        example: "",
    };
    type Parts = (String, String, String);
    question(about, nothing, |app: &App, (topic, partition, offset): Parts, ()| {
        // A record is a position without an output.
        let id = transaction_id(&(topic, partition, offset, "0".to_owned()))?;
        let SourcePosition { partition, offset, .. } = id;
        app.service.queries.dead_letter(&partition, offset)
    })
}
