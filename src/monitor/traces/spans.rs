//! The spans of a noted batch: a root from poll to receipt, and a child for each stage. Names and
//! attributes are those of the semantic conventions for messaging where there are such.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use crate::monitor::traces::TraceSettings;
use crate::pipeline::{BatchTrace, Origin, Span as Times};

/// The lowest bit of W3C's trace flags: it was chosen.
const SAMPLED: u32 = 1;
const NANOS_A_MILLISECOND: u64 = 1_000_000;

/// Makes spans.
pub struct Spans {
    resource: Resource,
    scope: InstrumentationScope,
    ids: RandomIdGenerator,
    origins: TraceContextPropagator,
}

/// The data shared by the spans of one trace.
struct Made<'a> {
    trace: &'a BatchTrace,
    id: TraceId,
    root: SpanId,
}

impl Spans {
    /// For a program that is named so and writes this ledger.
    pub fn new(settings: &TraceSettings, ledger: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let mut attributes = vec![
            text("service.name", &settings.service),
            text("service.version", version),
            text("ledgerline.ledger.name", ledger),
        ];
        for (name, value) in &settings.attributes {
            attributes.retain(|known| known.key != *name);
            attributes.push(text(name, value));
        }
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: version.to_owned(),
            ..InstrumentationScope::default()
        };
        Self {
            resource: Resource { attributes, ..Resource::default() },
            scope,
            ids: RandomIdGenerator::default(),
            origins: TraceContextPropagator::new(),
        }
    }

    /// The export of some batches.
    pub fn of<'a>(
        &self,
        traces: impl Iterator<Item = &'a BatchTrace>,
    ) -> ExportTraceServiceRequest {
        let scope_spans = ScopeSpans {
            scope: Some(self.scope.clone()),
            spans: traces.flat_map(|trace| self.of_one(trace)).collect(),
            ..ScopeSpans::default()
        };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }

    fn of_one(&self, trace: &BatchTrace) -> Vec<Span> {
        let made = Made { trace, id: self.ids.new_trace_id(), root: self.ids.new_span_id() };
        // What follows may begin before the stage in front has looked at the clock.
        let taken_in = trace.applied.as_ref().map(|(_, times)| times.start);
        let durable = taken_in.map_or(trace.durable, |at| trace.durable.min(at));
        let written = trace.write.end.min(durable);
        let (write, commit) = (trace.write.start..written, written..durable);
        let whole = trace.poll.start..durable;
        let block =
            trace.applied.as_ref().map(|(number, _)| int("ledgerline.block.number", *number));
        let mut spans = vec![self.root(&made, (whole, block.clone()))];
        let stages = [
            ("poll", SpanKind::Client, &trace.poll, operation("poll", "receive")),
            ("map", SpanKind::Internal, &trace.map, Vec::new()),
            ("write", SpanKind::Internal, &write, Vec::new()),
            ("commit", SpanKind::Internal, &commit, block.clone().into_iter().collect()),
        ];
        for (name, kind, times, attributes) in stages {
            spans.push(Span { attributes, ..self.child(&made, name, (kind, times)) });
        }
        if let Some((_, times)) = &trace.applied {
            let attributes = block.into_iter().collect();
            let apply = self.child(&made, "apply", (SpanKind::Internal, times));
            spans.push(Span { attributes, ..apply });
        }
        spans
    }

    fn root(&self, made: &Made<'_>, (whole, block): (Times, Option<KeyValue>)) -> Span {
        let Made { trace, id, root } = made;
        let topic = &trace.partition.topic;
        let mut attributes = operation("process", "process");
        attributes.extend([
            text("messaging.system", "kafka"),
            text("messaging.destination.name", topic),
            text("messaging.destination.partition.id", &trace.partition.partition.to_string()),
            int("messaging.kafka.offset", trace.first),
            int("messaging.batch.message_count", trace.records),
            int("ledgerline.epoch", trace.partition.epoch.into()),
            int("ledgerline.next_offset", trace.next),
            int("ledgerline.transactions", trace.transactions),
            int("ledgerline.filtered", trace.filtered),
            int("ledgerline.dead_letters", trace.dead_letters),
        ]);
        attributes.extend(block);
        let links: Vec<_> = trace.origins.iter().filter_map(|origin| self.link(origin)).collect();
        Span {
            trace_id: id.to_bytes().to_vec(),
            span_id: root.to_bytes().to_vec(),
            flags: SAMPLED,
            name: format!("process {topic}"),
            kind: SpanKind::Consumer.into(),
            attributes,
            links,
            dropped_links_count: trace.more_origins,
            ..spanned(trace, &whole)
        }
    }

    fn child(&self, made: &Made<'_>, name: &str, (kind, times): (SpanKind, &Times)) -> Span {
        Span {
            trace_id: made.id.to_bytes().to_vec(),
            span_id: self.ids.new_span_id().to_bytes().to_vec(),
            parent_span_id: made.root.to_bytes().to_vec(),
            flags: SAMPLED,
            name: name.to_owned(),
            kind: kind.into(),
            ..spanned(made.trace, times)
        }
    }

    /// The span that a record came from; none where its header is not right.
    fn link(&self, origin: &Origin) -> Option<Link> {
        let mut carried = HashMap::from([("traceparent".to_owned(), origin.parent.clone())]);
        carried.extend(origin.state.clone().map(|state| ("tracestate".to_owned(), state)));
        // Never what happens to be current on this thread.
        let found = self.origins.extract_with_context(&Context::new(), &carried);
        let found = found.span().span_context().clone();
        let remote =
            SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32;
        found.is_valid().then(|| Link {
            trace_id: found.trace_id().to_bytes().to_vec(),
            span_id: found.span_id().to_bytes().to_vec(),
            trace_state: found.trace_state().header(),
            flags: u32::from(found.trace_flags().to_u8()) | remote,
            ..Link::default()
        })
    }
}

/// A span from and to, as milliseconds of the calendar and the monotonic clock together tell.
fn spanned(trace: &BatchTrace, times: &Times) -> Span {
    let (milliseconds, at) = trace.moment;
    let moment = u64::try_from(milliseconds).unwrap_or(0).saturating_mul(NANOS_A_MILLISECOND);
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let calendar = |time: Duration| match time.checked_sub(at) {
        Some(after) => moment.saturating_add(nanos(after)),
        None => moment.saturating_sub(nanos(at.saturating_sub(time))),
    };
    Span {
        start_time_unix_nano: calendar(times.start),
        end_time_unix_nano: calendar(times.end),
        ..Span::default()
    }
}

fn operation(name: &str, kind: &str) -> Vec<KeyValue> {
    vec![text("messaging.operation.name", name), text("messaging.operation.type", kind)]
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
