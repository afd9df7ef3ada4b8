//! The search for a record's identity: the configured methods in order, asked of the envelope alone as
//! far as it goes, and then with the body.

use std::borrow::Cow;

use super::methods::{self, Found, Identity, refused};
use super::template::EventParts;
use super::{Method, cloudevents, platform_key};
use crate::budget::Budget;
use crate::codec::json::Value;
use crate::event::{Envelope, Format, Rejection, RejectionPlace};

/// A search that may wait for the body.
pub(in crate::event) struct Search<'a> {
    methods: &'a [Method],
    envelope: Envelope<'a>,
    /// Shared by all methods that are asked for one record.
    budget: Budget,
    /// The number of the method that is asked next.
    next: usize,
    /// Event metadata from topics that name no device.
    of_topics: EventParts,
    /// Why expressions do not apply: to evaluate them again would cost as much again.
    reasons: Vec<Cow<'static, str>>,
}

impl<'a> Search<'a> {
    pub(in crate::event) fn new(methods: &'a [Method], envelope: Envelope<'a>) -> Self {
        Self {
            methods,
            envelope,
            budget: Budget::new(),
            next: 0,
            of_topics: EventParts::default(),
            reasons: Vec::new(),
        }
    }

    /// The identity, where the envelope alone gives it; `None` where a method needs the body.
    pub(in crate::event) fn in_envelope(&mut self) -> Result<Option<Identity>, Rejection> {
        self.advance(None)
    }

    /// The body's format that the envelope declares, where a method not yet asked goes by it.
    pub(in crate::event) fn declared_format(&self) -> Option<Format> {
        let mut methods = self.methods.get(self.next..)?.iter();
        let reads = methods.any(|method| matches!(method, Method::CloudEvents));
        reads.then(|| cloudevents::declared_format(&self.envelope)).flatten()
    }

    /// The identity, from where [`Search::in_envelope`] stopped.
    pub(in crate::event) fn in_body(mut self, body: &mut Value) -> Result<Identity, Rejection> {
        match self.advance(Some(body))? {
            Some(identity) => Ok(identity),
            None => Err(self.unknown(Some(body))),
        }
    }

    fn advance(&mut self, mut body: Option<&mut Value>) -> Result<Option<Identity>, Rejection> {
        while let Some(method) = self.methods.get(self.next) {
            match self.ask(method, body.as_deref_mut(), &self.budget)? {
                Found::Known(identity) if identity.device.id.is_empty() && !method.is_plain() => {
                    let place = RejectionPlace::path("$.device.id");
                    return Err(refused(place, "the device id is empty"));
                }
                Found::Known(mut identity) => {
                    std::mem::take(&mut self.of_topics).replace_in(&mut identity);
                    return Ok(Some(identity));
                }
                Found::EventOnly(parts) => {
                    self.of_topics = std::mem::take(&mut self.of_topics).or(parts);
                }
                Found::NeedsBody => return Ok(None),
                Found::Not(reason) if method.is_evaluated() => self.reasons.push(reason),
                Found::Not(_) => {}
            }
            self.next += 1;
        }
        Err(self.unknown(body))
    }

    /// Asks one method.
    fn ask(
        &self,
        method: &Method,
        body: Option<&mut Value>,
        budget: &Budget,
    ) -> Result<Found, Rejection> {
        let envelope = &self.envelope;
        match method {
            Method::PlatformKey => platform_key::platform_key(envelope),
            Method::TypeIdKey => methods::type_id_key(envelope, body.as_deref()),
            Method::MqttTopic(topic) => methods::mqtt_topic(topic, envelope, body.as_deref()),
            Method::CloudEvents => cloudevents::cloudevent(envelope, body),
            Method::Paths(paths) => methods::by_paths(paths, envelope, body.as_deref()),
            Method::Expressions(expressions) => {
                methods::by_expressions(expressions, envelope, body.as_deref(), budget)
            }
            Method::Plain => Ok(Found::Known(Identity::default())),
        }
    }

    /// The rejection of a record that no method identifies: says of each why it does not apply.
    fn unknown(&mut self, mut body: Option<&mut Value>) -> Rejection {
        let mut message = String::from("no configured method identifies the device");
        let budget = Budget::new();
        let mut evaluated = std::mem::take(&mut self.reasons).into_iter();
        for method in self.methods {
            let reason = match method.is_evaluated() {
                true => evaluated.next(),
                false => match self.ask(method, body.as_deref_mut(), &budget) {
                    Ok(Found::Not(reason)) => Some(reason),
                    Ok(Found::EventOnly(_)) => Some("the topic names no device".into()),
                    Ok(Found::Known(_) | Found::NeedsBody) | Err(_) => None,
                },
            };
            let Some(reason) = reason else { continue };
            let hint = match header_in_another_case(method, &self.envelope) {
                Some(name) => {
                    format!("; there is a header `{name}`, but header names are case-sensitive")
                }
                None => String::new(),
            };
            for text in ["; ", method.name(), ": ", &reason, &hint] {
                message.push_str(text);
            }
        }
        refused(RejectionPlace::Record, message)
    }
}

/// A header of the record whose name differs in case alone from one that a method reads and that is
/// absent.
fn header_in_another_case<'a>(method: &Method, envelope: &Envelope<'a>) -> Option<&'a str> {
    let mut absent =
        method.headers().into_iter().filter(|wanted| envelope.headers.get(wanted).is_none());
    absent.find_map(|wanted| {
        let mut names = envelope.headers.iter().map(|(name, _)| name);
        names.find(|name| *name != wanted && name.eq_ignore_ascii_case(wanted))
    })
}
