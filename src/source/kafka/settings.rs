//! The Kafka source in the configuration, and its checked form.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::codec::yaml::Located;
use crate::event::is_topic;
use crate::fault::Fault;
use crate::source::SourceError;

/// Kafka as source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaForm {
    /// Where to find the cluster: `host:port`, several with commas.
    pub brokers: Located<String>,
    /// Consumer group. One ledger owns one group.
    pub group: Located<String>,
    /// Topics to read.
    pub topics: Vec<Located<String>>,
    /// Where a first start begins in partitions that the ledger has not read.
    #[serde(default)]
    pub start: Start,
    /// Stream epochs of topics that were deleted and made again; 0 where not named.
    #[serde(default)]
    pub epochs: BTreeMap<String, u32>,
    /// Any other property of librdkafka, for example `security.protocol: SASL_SSL`.
    #[serde(default)]
    pub properties: BTreeMap<String, Located<Property>>,
}

/// Where a first start begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest record that the broker still has.
    #[default]
    Earliest,
    /// With records that come after the first start. From the first start on, the group's offset
    /// keeps the place until the ledger has a record.
    Latest,
}

/// A property's value. It may be a secret and never shows.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Property(#[schemars(with = "serde_json::Value")] String);

impl Property {
    /// A value with its references to secrets resolved.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value, for resolving references in it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Property;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true or false")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Property, E> {
                Ok(Property::new(value))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Property, E> {
                Ok(Property::new(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Property, E> {
                Ok(Property::new(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Property, E> {
                Ok(Property::new(value.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Properties that are ours, with the reason that a user reads.
const OURS: &[(&str, &str)] = &[
    ("bootstrap.servers", "write it as `brokers`"),
    ("metadata.broker.list", "write it as `brokers`"),
    ("group.id", "write it as `group`"),
    ("auto.offset.reset", "the ledger keeps the position; `start` says where a first start begins"),
    (
        "enable.auto.offset.store",
        "an offset counts only when its records are durably in the ledger",
    ),
    ("enable.auto.commit", "the group's offset follows the ledger by itself"),
    ("enable.partition.eof", "the end of a partition is no event"),
    ("offset.store.method", "the ledger keeps the position"),
    ("consume.callback.max.messages", "records are taken by polling"),
    ("plugin.library.paths", "foreign code would be loaded into the process"),
    ("test.mock.num.brokers", "the demonstration brings its own broker"),
];

/// What we set where the user does not.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "ledgerline"),
    ("check.crcs", "true"),
    // The default of a second stalls the consumer each time the local queue fills.
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "16384"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("statistics.interval.ms", "1000"), // lag and the state of brokers
    ("auto.commit.interval.ms", "1000"),
    ("reconnect.backoff.max.ms", "2000"),
    ("log.connection.close", "false"), // brokers close idle connections all the time
];

/// Checked settings of the Kafka source.
#[derive(Clone)]
pub struct KafkaSettings {
    pub(in crate::source) config: ClientConfig,
    pub(super) topics: Vec<String>,
    pub(super) start: Start,
    pub(super) epochs: BTreeMap<String, u32>,
    /// Values that must not show in any message.
    pub(super) hidden: Vec<String>,
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
    pub(in crate::source) fn redacted(&self, error: &KafkaError) -> SourceError {
        // The library's own message would show the value.
        let text = match error {
            KafkaError::ClientConfig(_, reason, name, _) => format!("`{name}`: {reason}"),
            other => other.to_string(),
        };
        let hide = |text: String, hidden: &String| text.replace(hidden.as_str(), "…");
        SourceError::Kafka(self.hidden.iter().fold(text, hide))
    }

    /// The topics that are read.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        &self.topics
    }
}

impl KafkaForm {
    /// Checks everything that can be checked without a broker; gives every fault, with places in
    /// `file`.
    pub fn check(&self, file: &Path) -> Result<KafkaSettings, Vec<Fault>> {
        let mut faults = Vec::new();
        self.check_names(file, &mut faults);
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        for (name, value) in DEFAULTS {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            match OURS.iter().find(|(ours, _)| ours == name) {
                Some((_, reason)) => {
                    let message = format!("the property `{name}` cannot be set");
                    faults.push(Fault::error(file, value.place, message).help(*reason));
                }
                None => faults.extend(check_property(name, value, file)),
            }
            config.set(name, value.value.reveal());
        }
        config.set("bootstrap.servers", &self.brokers.value);
        config.set("group.id", &self.group.value);
        config.set("enable.auto.offset.store", "false");
        // Commits only what was stored, and what is stored is durable.
        config.set("enable.auto.commit", "true");
        config.set("auto.offset.reset", "error");
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(KafkaSettings {
            config,
            topics: self.topics.iter().map(|topic| topic.value.clone()).collect(),
            start: self.start,
            epochs: self.epochs.clone(),
            hidden: self.hidden(),
        })
    }

    fn check_names(&self, file: &Path, faults: &mut Vec<Fault>) {
        let mut fault = |place, message: String, help: &str| {
            faults.push(Fault::error(file, place, message).help(help));
        };
        if self.brokers.value.trim().is_empty() {
            fault(self.brokers.place, "`brokers` is empty".to_owned(), "`brokers: host:9092`");
        }
        if self.group.value.trim().is_empty() {
            let help = "one ledger owns one group; name it after the ledger";
            fault(self.group.place, "`group` is empty".to_owned(), help);
        }
        if self.topics.is_empty() {
            fault(self.group.place, "`topics` is empty".to_owned(), "`topics: [telemetry]`");
        }
        for (index, topic) in self.topics.iter().enumerate() {
            if !is_topic(&topic.value) {
                let message = format!("`{}` is no name of a topic", topic.value);
                fault(topic.place, message, "letters, digits, `.`, `_` and `-`, at most 249");
            }
            if self.topics[..index].iter().any(|other| other.value == topic.value) {
                fault(topic.place, format!("topic `{}` stands twice", topic.value), "");
            }
        }
        for name in self.epochs.keys() {
            if !self.topics.iter().any(|topic| topic.value == *name) {
                let message = format!("`epochs` names `{name}`, which is not among `topics`");
                fault(self.group.place, message, "");
            }
        }
    }

    fn hidden(&self) -> Vec<String> {
        // Short and common values such as `true` tell nothing and would spoil messages.
        const SECRET: [&str; 6] = ["password", "secret", "pem", "jaas", "oauthbearer", "key"];
        let secret = |name: &str| SECRET.iter().any(|part| name.contains(part));
        let values = self.properties.iter().filter(|(name, _)| secret(name));
        values.map(|(_, v)| v.value.reveal().to_owned()).filter(|v| v.len() > 3).collect()
    }
}

/// Asks the library whether it knows the property and takes the value.
fn check_property(name: &str, value: &Located<Property>, file: &Path) -> Option<Fault> {
    let mut config = ClientConfig::new();
    config.set(name, value.value.reveal());
    let KafkaError::ClientConfig(_, reason, ..) = config.create_native_config().err()? else {
        return None;
    };
    let text = value.value.reveal();
    let reason = if text.is_empty() { reason } else { reason.replace(text, "…") };
    let help = "the properties are those of librdkafka (CONFIGURATION.md in its repository)";
    Some(Fault::error(file, value.place, format!("property `{name}`: {reason}")).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::yaml;

    fn check(more: &str) -> Result<KafkaSettings, String> {
        let text = format!("brokers: b:1\ngroup: g\n{more}");
        let file = Path::new("c.yaml");
        let form = yaml::parse::<KafkaForm>(file, &text).map_err(|fault| fault.to_string())?;
        let faults =
            |faults: Vec<Fault>| faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n");
        form[0].check(file).map_err(faults)
    }

    #[test]
    fn a_form_becomes_settings() {
        let settings = check(
            "topics: [t, u]\nstart: latest\nepochs: {u: 2}\nproperties: {session.timeout.ms: 6000, check.crcs: false, client.id: 'me'}",
        )
        .unwrap();
        let get = |name| settings.config.get(name);
        assert_eq!(get("bootstrap.servers"), Some("b:1"));
        assert_eq!(get("session.timeout.ms"), Some("6000"));
        assert_eq!(get("check.crcs"), Some("false"));
        assert_eq!(get("client.id"), Some("me"));
        assert_eq!(get("auto.offset.reset"), Some("error"));
        assert_eq!((settings.start, settings.epochs["u"]), (Start::Latest, 2));
        settings.config.create_native_config().unwrap();
    }

    #[test]
    fn faults_have_their_place() {
        let table = [
            ("topics: []", "c.yaml:2:8: error: `topics` is empty"),
            ("topics: [a b]", "c.yaml:3:10: error: `a b` is no name of a topic"),
            ("topics: ['^a.*']", "c.yaml:3:10: error: `^a.*` is no name"),
            ("topics: [t, t]", "c.yaml:3:13: error: topic `t` stands twice"),
            ("topics: [t]\nepochs: {u: 1}", "names `u`, which is not among `topics`"),
            ("topics: [t]\nstart: now", "c.yaml:4:8: error: "),
            (
                "topics: [t]\nproperties: {group.id: x}",
                "c.yaml:4:24: error: the property `group.id`",
            ),
            (
                "topics: [t]\nproperties: {no.such: x}",
                "c.yaml:4:23: error: property `no.such`: No such",
            ),
            (
                "topics: [t]\nproperties: {session.timeout.ms: soon}",
                "property `session.timeout.ms`: ",
            ),
            ("topics: [t]\nproperties: {session.timeout.ms: [1]}", "c.yaml:4:14: error: "),
            ("topics: [t]\nwhat: 1", "c.yaml:4:1: error: "),
        ];
        for (more, expected) in table {
            let faults = check(more).unwrap_err();
            assert!(faults.contains(expected), "{more}: {faults}");
        }
        for (name, reason) in OURS {
            let faults = check(&format!("topics: [t]\nproperties: {{{name}: x}}")).unwrap_err();
            assert!(faults.contains(reason), "{faults}");
        }
    }

    #[test]
    fn secrets_never_show() {
        let properties = "properties: {sasl.password: hunter22, sasl.mechanisms: hunter22, ssl.key.password: hunter23}";
        let text = format!("brokers: b:1\ngroup: g\ntopics: [t]\n{properties}");
        let form = yaml::parse::<KafkaForm>(Path::new("c.yaml"), &text).unwrap();
        assert!(!format!("{form:?}").contains("hunter"));
        let settings = form[0].check(Path::new("c.yaml")).unwrap();
        assert!(!format!("{settings:?}").contains("hunter"));
        assert_eq!(settings.hidden, ["hunter22", "hunter23"]);
        let faults = check("topics: [t]\nproperties: {security.protocol: hunter22}").unwrap_err();
        assert!(!faults.contains("hunter"), "{faults}");
    }
}
