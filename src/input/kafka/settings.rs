//! The checked form of the Kafka source.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use crate::diagnostic::{Diagnostic, Severity};
use crate::event::is_topic;
use crate::input::InputError;
use crate::input::kafka::brokers;
use crate::input::kafka::dry_run::{Whole, check_client};
use crate::input::kafka::form::{Epoch, KafkaForm, Start};
use crate::input::kafka::properties::{self, MEMBER};
use crate::input::kafka::redaction::Redaction;

/// Checked settings of the Kafka source.
#[derive(Clone)]
pub struct KafkaSettings {
    pub(in crate::input) config: ClientConfig,
    pub(super) topics: Vec<String>,
    pub(super) start: Start,
    pub(super) epochs: BTreeMap<String, Epoch>,
    /// Hides secrets in messages.
    pub(in crate::input) redaction: Redaction,
    /// True if the user named the group's member, or wants one without a name.
    is_member_named: bool,
    /// True if the group works by the protocol of KIP-848.
    is_assigned_by_brokers: bool,
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.config.get("bootstrap.servers"))
            .field("group", &self.config.get("group.id"))
            .field("topics", &self.topics)
            .field("start", &self.start)
            .field("epochs", &self.epochs)
            .finish_non_exhaustive()
    }
}

impl KafkaSettings {
    /// An error of the client without any value that may be a secret.
    pub(in crate::input) fn redacted(&self, error: &KafkaError) -> InputError {
        // The library's own message would show the value.
        let text = match error {
            KafkaError::ClientConfig(_, reason, name, _) => format!("`{name}`: {reason}"),
            other => other.to_string(),
        };
        InputError::Kafka(self.redaction.apply(&text))
    }

    /// The topics that are read.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// True if the member of the group still needs an id: the user neither named one nor wants
    /// none. By the protocol of KIP-848 it gets none, because the brokers refuse an id until the
    /// session of a member that was killed is over.
    #[must_use]
    pub fn needs_member_id(&self) -> bool {
        !self.is_member_named && !self.is_assigned_by_brokers
    }

    /// Joins the group as a static member with this id (letters, digits, `.`, `_`, `-`), unless the
    /// user named one or wants none. The id must be the same at each start, and no other process may
    /// have it.
    pub fn set_member_id(&mut self, id: &str) {
        if self.needs_member_id() {
            self.config.set(MEMBER, id);
        }
    }
}

impl KafkaForm {
    /// Checks everything that can be checked without a broker. Adds every fault, with places in
    /// `file`; the settings are `None` where one of them is an error.
    pub fn check(&self, file: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<KafkaSettings> {
        let mut found = Vec::new();
        let topics = self.check_topics(file, &mut found);
        self.check_names(file, &topics, &mut found);
        properties::check_each(&self.properties, file, &mut found);
        let redaction = properties::secrets(&self.properties);
        let mut config = properties::config(&self.properties);
        config.set("bootstrap.servers", self.brokers.value.trim());
        config.set("group.id", &self.group.value);
        config.set("enable.auto.offset.store", "false");
        // Commits only what was stored, and what is stored is durable.
        config.set("enable.auto.commit", "true");
        config.set("auto.offset.reset", "error");
        let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
        if !found.iter().any(is_error) {
            let (properties, place) = (&self.properties, self.brokers.place);
            let whole = Whole { properties, file, place };
            check_client(&config, &redaction, whole, &mut found);
        }
        let is_refused = found.iter().any(is_error);
        diagnostics.extend(found);
        let epoch = |(topic, epoch): (&String, &_)| (topic.clone(), Epoch::clone(epoch));
        (!is_refused).then(|| KafkaSettings {
            config,
            topics,
            start: self.start,
            epochs: self.epochs.iter().map(|(t, e)| epoch((t, &e.value))).collect(),
            redaction,
            is_member_named: self.properties.contains_key(MEMBER),
            is_assigned_by_brokers: properties::is_assigned_by_brokers(&self.properties),
        })
    }

    fn check_names(&self, file: &Path, topics: &[String], diagnostics: &mut Vec<Diagnostic>) {
        let protocol = properties::security_protocol(&self.properties);
        for (message, help) in brokers::diagnostics(&self.brokers.value, &protocol) {
            diagnostics.push(Diagnostic::error(file, self.brokers.place, message).help(help));
        }
        if self.group.value.trim().is_empty() {
            let help = "one ledger owns one group; give it the ledger's name";
            diagnostics
                .push(Diagnostic::error(file, self.group.place, "`group` is empty").help(help));
        }
        for (name, epoch) in &self.epochs {
            if !topics.iter().any(|topic| topic == name) {
                let message = format!("`epochs` names `{name}`, which is not in `topics`");
                diagnostics.push(Diagnostic::error(file, epoch.place, message));
            }
            if epoch.value.number == 0 && epoch.value.continue_at.is_some() {
                let message = format!("`epochs`: `continue_at` of `{name}` needs a new epoch");
                let help = "raise `epoch` by one: the ledger records where the new epoch begins";
                diagnostics.push(Diagnostic::error(file, epoch.place, message).help(help));
            }
        }
    }

    fn check_topics(&self, file: &Path, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
        let place = self.topics.place;
        let names = match &self.topics.value.0 {
            Ok(names) => names,
            Err(text) => {
                let list: Vec<_> = text.split(',').map(str::trim).collect();
                let message = format!("a list is expected: `[{}]`", list.join(", "));
                diagnostics.push(Diagnostic::error(file, place, format!("`topics`: {message}")));
                return Vec::new();
            }
        };
        if names.is_empty() {
            let diagnostic = Diagnostic::error(file, place, "`topics` is empty");
            diagnostics.push(diagnostic.help("`topics: [telemetry]`"));
        }
        for (index, topic) in names.iter().enumerate() {
            if !is_topic(&topic.value) {
                let message = format!("`{}` is not a topic name", topic.value);
                let help = "letters, digits, `.`, `_` and `-`, at most 249";
                diagnostics.push(Diagnostic::error(file, topic.place, message).help(help));
            }
            if names[..index].iter().any(|other| other.value == topic.value) {
                let message = format!("duplicate topic `{}`", topic.value);
                diagnostics.push(Diagnostic::error(file, topic.place, message));
            }
        }
        names.iter().map(|topic| topic.value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::yaml;

    fn check(more: &str) -> (Option<KafkaSettings>, String) {
        let text = format!("brokers: b:1\ngroup: g\n{more}");
        let file = Path::new("c.yaml");
        let form = match yaml::parse::<KafkaForm>(file, &text) {
            Ok(form) => form,
            Err(diagnostic) => return (None, diagnostic.to_string()),
        };
        let mut diagnostics = Vec::new();
        let settings = form[0].check(file, &mut diagnostics);
        (settings, diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn with(properties: &str) -> (Option<KafkaSettings>, String) {
        check(&format!("topics: [t]\nproperties: {{{properties}}}"))
    }

    #[test]
    fn a_form_becomes_settings() {
        let (settings, diagnostics) = check(
            "topics: [t, u]\nstart: latest\nepochs: {u: 2, t: {epoch: 1, continue_at: {3: 77}}}\nproperties: {session.timeout.ms: 6000, check.crcs: true, client.id: 'me'}",
        );
        assert_eq!(diagnostics, "");
        let settings = settings.unwrap();
        let get = |name| settings.config.get(name);
        assert_eq!(get("bootstrap.servers"), Some("b:1"));
        assert_eq!(get("session.timeout.ms"), Some("6000"));
        assert_eq!(get("client.id"), Some("me"));
        assert_eq!(get("auto.offset.reset"), Some("error"));
        assert_eq!(get("isolation.level"), Some("read_committed"));
        assert_eq!(settings.start, Start::Latest);
        assert_eq!(settings.epochs["u"], Epoch { number: 2, continue_at: None });
        assert_eq!(settings.epochs["t"].continue_at, Some(BTreeMap::from([(3, 77)])));
    }

    #[test]
    fn faults_have_their_place() {
        let table = [
            ("topics: []", "c.yaml:3:9: error: `topics` is empty"),
            ("topics: pumps", "c.yaml:3:9: error: `topics`: a list is expected: `[pumps]`"),
            ("topics: a,b", "a list is expected: `[a, b]`"),
            ("topics: [a b]", "c.yaml:3:10: error: `a b` is not a topic name"),
            ("topics: ['^a.*']", "c.yaml:3:10: error: `^a.*` is not a topic name"),
            ("topics: [t, t]", "c.yaml:3:13: error: duplicate topic `t`"),
            ("topics: [t]\nepochs: {u: 1}", "c.yaml:4:13: error: `epochs` names `u`, which is not"),
            (
                "topics: [t]\nepochs: {t: {epoch: 0, continue_at: {}}}",
                "c.yaml:4:13: error: `epochs`: `continue_at` of `t` needs a new epoch",
            ),
            ("topics: [t]\nepochs: {t: -1}", "c.yaml:4:"),
            ("topics: [t]\nepochs: {t: {epoch: 1}}", "missing field `continue_at`"),
            ("topics: [t]\nstart: now", "c.yaml:4:8: error: "),
            ("topics: [t]\nproperties: {session.timeout.ms: [1]}", "c.yaml:4:14: error: "),
            ("topics: [t]\nwhat: 1", "c.yaml:4:1: error: "),
        ];
        for (more, expected) in table {
            let (settings, diagnostics) = check(more);
            assert!(diagnostics.contains(expected) && settings.is_none(), "{more}: {diagnostics}");
        }
        let text = "brokers: b:9o92\ngroup: ''\ntopics: pumps";
        let form = yaml::parse::<KafkaForm>(Path::new("c.yaml"), text).unwrap();
        let mut diagnostics = Vec::new();
        assert!(form[0].check(Path::new("c.yaml"), &mut diagnostics).is_none());
        assert_eq!(diagnostics.len(), 3, "all are told: {diagnostics:?}");
    }

    #[test]
    fn properties_that_would_undo_a_promise_are_refused() {
        let table = [
            ("group.id: x", "4:24: error: the property `group.id` cannot be set\n  help: write it"),
            ("auto.offset.reset: earliest", "skipped or read twice"),
            ("enable.auto.commit: true", "must follow the ledger"),
            ("auto.commit.enable: true", "must follow the ledger"),
            ("auto.commit.interval.ms: 0", "can only be from 1 to 60000"),
            ("enable.auto.offset.store: true", "durably in the ledger"),
            ("offset.store.method: none", "the ledger keeps the position"),
            ("enable.partition.eof: true", "cannot be set"),
            (
                "isolation.level: read_uncommitted",
                "can only be `read_committed`\n  help: records of",
            ),
            (
                "check.crcs: false",
                "`check.crcs` can only be true\n  help: bytes corrupted in transit",
            ),
            ("check.crcs: 0", "`check.crcs` can only be true"),
            ("api.version.request: f", "can only be true"),
            ("broker.version.fallback: 0.9.0", "cannot be set"),
            ("allow.auto.create.topics: true", "a misspelled topic"),
            ("topic.blacklist: ^t", "would never be read"),
            ("max.poll.interval.ms: 5999", "can only be from 6000 to 3600000"),
            ("max.poll.interval.ms: 86400000", "can only be from 6000 to 3600000"),
            ("statistics.interval.ms: 0", "can only be from 1 to 10000"),
            ("topic.metadata.refresh.interval.ms: -1", "can only be from 1 to 3600000"),
            ("socket.max.fails: 0", "can only be from 1 to 1000000"),
            ("plugin.library.paths: x.so", "external code"),
            ("test.mock.num.brokers: 3", "has its own broker"),
            ("acks: 0", "error: `acks` is a property of producers and has no effect"),
            ("enable.idempotence: false", "is a property of producers"),
            ("message.timeout.ms: 1", "is a property of producers"),
            ("heartbeat.interval.ms: 45000", "too late for a session of 45000 ms"),
            ("session.timeout.ms: 3000", "a heartbeat each 3000 ms"),
            ("group.instance.id: 'a b'", "not a valid Kafka member id"),
        ];
        for (properties, expected) in table {
            let (settings, diagnostics) = with(properties);
            assert!(
                diagnostics.contains(expected) && settings.is_none(),
                "{properties}: {diagnostics}"
            );
            assert!(diagnostics.contains("c.yaml:4:"), "{properties}: {diagnostics}");
        }
        let allowed = [
            "isolation.level: READ_COMMITTED, check.crcs: t, allow.auto.create.topics: false",
            "max.poll.interval.ms: 6000, session.timeout.ms: 6000",
            "auto.commit.interval.ms: 60000, statistics.interval.ms: 10000",
            "group.instance.id: ''",
            "group.instance.id: pumps-1",
        ];
        for properties in allowed {
            let (settings, diagnostics) = with(properties);
            assert!(settings.is_some() && diagnostics.is_empty(), "{properties}: {diagnostics}");
        }
    }

    #[test]
    fn the_configuration_is_checked_as_a_whole() {
        let table = [
            ("no.such: x", "c.yaml:4:23: error: `no.such` is not a property of librdkafka"),
            ("session.timeout.ms: soon", "property `session.timeout.ms`: "),
            (
                "session.timeout.ms: 3600001",
                "property `session.timeout.ms`: value 3600001 is outside allowed range 1..3600000\n",
            ),
            (
                "session.timeout.ms: 600000",
                "4:34: error: cannot create a Kafka client: `max.poll.interval.ms` must be >= `session.timeout.ms`",
            ),
            (
                "group.protocol: consumer, session.timeout.ms: 6000",
                "4:60: error: cannot create a Kafka client: `session.timeout.ms` is not supported",
            ),
            (
                "group.protocol: consumer, partition.assignment.strategy: range",
                "`partition.assignment.strategy` is not supported",
            ),
            (
                "security.protocol: SASL_SSL",
                "4:33: error: `sasl.mechanism` is missing, and its default",
            ),
            (
                "security.protocol: sasl_plaintext, sasl.mechanism: GSSAPI",
                "4:65: error: GSSAPI (Kerberos) is not built in",
            ),
            (
                "security.protocol: SASL_SSL, sasl.mechanisms: OAUTHBEARER",
                "OAUTHBEARER needs tokens",
            ),
            ("security.protocol: SASL_SSL, sasl.mechanism: PLANE", "unknown SASL mechanism"),
            ("security.protocol: SSL, ssl.ca.location: /no/such.pem", "c.yaml:4:55: error: "),
            (
                "partition.assignment.strategy: 'range,cooperative-sticky'",
                "c.yaml:4:45: error: cannot create a Kafka client: ",
            ),
            ("fetch.max.bytes: 1000", "`fetch.max.bytes` must be >= `message.max.bytes`"),
        ];
        for (properties, expected) in table {
            let (settings, diagnostics) = with(properties);
            assert!(
                diagnostics.contains(expected) && settings.is_none(),
                "{properties}: {diagnostics}"
            );
            assert!(
                !diagnostics.contains("  must") && !diagnostics.contains(" \n"),
                "{diagnostics}"
            );
        }
        let warned = [
            ("enable.ssl.certificate.verification: false", "warning: `enable.ssl.certificate"),
            (
                "group.protocol: consumer, group.instance.id: a",
                "c.yaml:4:59: warning: `group.instance.id` with `group.protocol: consumer`",
            ),
            ("sasl.mechanism: PLAIN", "4:30: warning: Configuration property `sasl.mechanism` set"),
        ];
        for (properties, expected) in warned {
            let (settings, diagnostics) = with(properties);
            assert!(
                diagnostics.contains(expected) && settings.is_some(),
                "{properties}: {diagnostics}"
            );
        }
    }

    #[test]
    fn the_group_protocol_of_kip_848_fits_our_defaults() {
        for name in ["consumer", "Consumer"] {
            let (settings, diagnostics) = with(&format!("group.protocol: {name}"));
            assert_eq!(diagnostics, "");
            assert_eq!(settings.unwrap().config.get("partition.assignment.strategy"), None);
        }
        let (settings, _) = with("group.protocol: classic");
        let strategy = settings.unwrap();
        let strategy = strategy.config.get("partition.assignment.strategy");
        assert_eq!(strategy, Some("cooperative-sticky"));
    }

    #[test]
    fn a_member_has_an_id_unless_the_user_says_otherwise() {
        let table = [
            ("client.id: x", Some("ours")),
            ("group.instance.id: theirs", Some("theirs")),
            ("group.instance.id: ''", None),
            ("group.protocol: consumer", None),
            ("group.protocol: classic", Some("ours")),
        ];
        for (properties, expected) in table {
            let mut settings = with(properties).0.unwrap();
            settings.set_member_id("ours");
            assert_eq!(settings.config.get(MEMBER), expected, "{properties}");
        }
    }

    #[test]
    fn secrets_never_show() {
        let properties = "properties: {sasl.password: hunter22, sasl.mechanisms: hunter22, ssl.key.password: hunter23}";
        let text = format!("brokers: b:1\ngroup: g\ntopics: [t]\n{properties}");
        let form = yaml::parse::<KafkaForm>(Path::new("c.yaml"), &text).unwrap();
        assert!(!format!("{form:?}").contains("hunter"));
        let mut diagnostics = Vec::new();
        let settings = form[0].check(Path::new("c.yaml"), &mut diagnostics).unwrap();
        assert!(!format!("{settings:?} {diagnostics:?}").contains("hunter"));
        let secret = KafkaError::ClientCreation("hunter22 and hunter23 are wrong".to_owned());
        assert!(!settings.redacted(&secret).to_string().contains("hunter"));
        for name in ["security.protocol", "compression.type", "session.timeout.ms"] {
            let (_, diagnostics) = with(&format!("{name}: hunter22"));
            assert!(!diagnostics.is_empty() && !diagnostics.contains("hunter"), "{diagnostics}");
        }
        let (_, diagnostics) = with("sasl.password: o, no.such: o, security.protocol: o");
        assert!(diagnostics.contains("`no.such` is not a property of librdkafka"), "{diagnostics}");
        assert!(
            diagnostics.contains("Invalid value \"…\" for configuration property"),
            "{diagnostics}"
        );
    }
}
