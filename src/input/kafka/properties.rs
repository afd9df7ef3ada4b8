//! The properties of librdkafka: our defaults, and the values that would undo a promise.

use std::collections::BTreeMap;
use std::path::Path;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use crate::codec::yaml::Located;
use crate::diagnostic::Diagnostic;
use crate::event::is_topic;
use crate::input::kafka::property::Property;
use crate::input::kafka::redaction::{Redaction, hide, tidy};
use crate::limits::{COMMIT_INTERVALS_MS, POLL_INTERVALS_MS, STATISTICS_INTERVALS_MS};

/// Properties of a source as they are written, by name.
pub(super) type Properties = BTreeMap<String, Located<Property>>;

/// The values that a property may have.
#[derive(Debug, Clone, Copy)]
enum Allowed {
    /// None: it is ours.
    Nothing,
    /// `true`.
    True,
    /// `false`.
    False,
    /// This text.
    Text(&'static str),
    /// A number in this range; both ends are allowed.
    Between(u64, u64),
}

/// Properties that would undo a promise, with the values that do not, and the reason that a user
/// reads.
const PROMISES: &[(&str, Allowed, &str)] = &[
    ("bootstrap.servers", Allowed::Nothing, "write it as `brokers`"),
    ("metadata.broker.list", Allowed::Nothing, "write it as `brokers`"),
    ("group.id", Allowed::Nothing, "write it as `group`"),
    ("auto.offset.reset", Allowed::Nothing, RESET),
    ("enable.auto.offset.store", Allowed::Nothing, STORE),
    ("enable.auto.commit", Allowed::Nothing, COMMIT),
    ("auto.commit.enable", Allowed::Nothing, COMMIT),
    ("auto.commit.interval.ms", COMMIT_INTERVAL, COMMIT),
    ("offset.store.method", Allowed::Nothing, POSITION),
    ("offset.store.path", Allowed::Nothing, POSITION),
    ("offset.store.sync.interval.ms", Allowed::Nothing, POSITION),
    ("enable.partition.eof", Allowed::Nothing, "the end of a partition is not an event"),
    ("consume.callback.max.messages", Allowed::Nothing, "records are polled"),
    ("isolation.level", Allowed::Text("read_committed"), ISOLATION),
    ("check.crcs", Allowed::True, CHECKSUMS),
    ("api.version.request", Allowed::True, VERSIONS),
    ("api.version.fallback.ms", Allowed::Between(0, 0), VERSIONS),
    ("broker.version.fallback", Allowed::Nothing, VERSIONS),
    ("allow.auto.create.topics", Allowed::False, CREATE),
    ("topic.blacklist", Allowed::Nothing, "a topic of `topics` would never be read"),
    ("group.protocol.type", Allowed::Text("consumer"), "partitions are shared among consumers"),
    ("max.poll.interval.ms", POLL_INTERVAL, POLLING),
    ("statistics.interval.ms", STATISTICS_INTERVAL, STATISTICS),
    ("topic.metadata.refresh.interval.ms", Allowed::Between(1, 3_600_000), METADATA),
    ("socket.max.fails", Allowed::Between(1, 1_000_000), FAILS),
    ("enabled_events", Allowed::Nothing, "the program decides which events it takes"),
    ("log.queue", Allowed::Nothing, "the library's log is forwarded to this program's log"),
    ("internal.termination.signal", Allowed::Nothing, "the program handles signals itself"),
    ("enable.random.seed", Allowed::Nothing, "pauses between retries would be predictable"),
    ("plugin.library.paths", Allowed::Nothing, CODE),
    ("ssl.engine.location", Allowed::Nothing, CODE),
    ("test.mock.num.brokers", Allowed::Nothing, "the demo has its own broker"),
    ("test.mock.broker.rtt", Allowed::Nothing, "the demo has its own broker"),
];

const COMMIT_INTERVAL: Allowed = Allowed::Between(COMMIT_INTERVALS_MS.0, COMMIT_INTERVALS_MS.1);
const POLL_INTERVAL: Allowed = Allowed::Between(POLL_INTERVALS_MS.0, POLL_INTERVALS_MS.1);
const STATISTICS_INTERVAL: Allowed =
    Allowed::Between(STATISTICS_INTERVALS_MS.0, STATISTICS_INTERVALS_MS.1);

const RESET: &str = "records would be silently skipped or read twice; the ledger keeps the position, \
                     and `start` sets where the first start begins";
const STORE: &str = "an offset counts only when its records are durably in the ledger";
const COMMIT: &str = "the group's offset must follow the ledger: it prevents another ledger from \
                      consuming the same records, and lag tools read it";
const POSITION: &str = "the ledger keeps the position";
const ISOLATION: &str = "records of aborted transactions would become entries; only `read_committed` excludes \
                         them";
const CHECKSUMS: &str = "bytes corrupted in transit would be signed as if they had been sent";
const VERSIONS: &str = "an old protocol drops headers and reads aborted transactions; the versions \
                        must be negotiated with the broker";
const CREATE: &str = "a misspelled topic would be created and read as empty";
const POLLING: &str = "a shorter interval revokes the partitions during one slow request, a longer \
                       one leaves them with a hung process";
const STATISTICS: &str = "lag and the state of the connection are measured with it";
const METADATA: &str =
    "new partitions and leaders would not be noticed, and their records not read";
const FAILS: &str = "a connection would be reused after requests timed out, out of sync with the \
                     broker";
const CODE: &str = "external code would be loaded into the process";

/// Properties whose values weaken a promise that is not ours to enforce.
const WEAK: &[(&str, &str, &str)] = &[
    (
        "enable.ssl.certificate.verification",
        "false",
        "the broker's certificate is not verified: anyone on the network can pose as the broker",
    ),
    (
        "ssl.endpoint.identification.algorithm",
        "none",
        "the broker's name is not verified: any host with a certificate can pose as the broker",
    ),
];

/// Our defaults.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "ledgerline"),
    ("check.crcs", "true"),
    ("isolation.level", "read_committed"),
    ("allow.auto.create.topics", "false"),
    // The default of a second stalls the consumer each time the local queue fills.
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "16384"),
    (STRATEGY, "cooperative-sticky"),
    ("statistics.interval.ms", "1000"), // lag and the state of brokers
    ("auto.commit.interval.ms", "1000"),
    ("reconnect.backoff.max.ms", "2000"),
    ("log.connection.close", "false"), // brokers close idle connections all the time
];

const STRATEGY: &str = "partition.assignment.strategy";
/// Names this client as a static member of its group.
pub(super) const MEMBER: &str = "group.instance.id";

/// The value of a property, where it is set.
fn value<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name).map(|property| property.value.reveal())
}

/// True if the group works by the protocol of KIP-848, in which the brokers assign partitions.
pub(super) fn is_assigned_by_brokers(properties: &Properties) -> bool {
    value(properties, "group.protocol").is_some_and(|name| name.eq_ignore_ascii_case("consumer"))
}

/// The protocol of a connection, as librdkafka names it.
pub(super) fn security_protocol(properties: &Properties) -> String {
    value(properties, "security.protocol").unwrap_or("plaintext").to_ascii_lowercase()
}

/// Our defaults with the user's properties over them.
pub(super) fn config(properties: &Properties) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    for (name, default) in DEFAULTS {
        // The library refuses it beside the protocol of KIP-848.
        if *name != STRATEGY || !is_assigned_by_brokers(properties) {
            config.set(*name, *default);
        }
    }
    for (name, property) in properties {
        config.set(name, property.value.reveal());
    }
    // An empty id means a member without one.
    if value(properties, MEMBER) == Some("") {
        config.remove(MEMBER);
    }
    config
}

/// Everything that can be said of each property by itself.
pub(super) fn check_each(properties: &Properties, file: &Path, diagnostics: &mut Vec<Diagnostic>) {
    for (name, property) in properties {
        let text = property.value.reveal();
        if let Some((_, allowed, reason)) = PROMISES.iter().find(|(ours, ..)| ours == name) {
            if let Some(message) = allowed.refusal(name, text) {
                diagnostics.push(Diagnostic::error(file, property.place, message).help(*reason));
                continue;
            }
            if matches!(allowed, Allowed::Nothing) {
                continue;
            }
        }
        let weak = WEAK.iter().find(|(weak, bad, _)| weak == name && is_same(bad, text));
        if let Some((_, bad, reason)) = weak {
            let message = format!("`{name}` is {bad}");
            diagnostics.push(Diagnostic::warning(file, property.place, message).help(*reason));
        }
        diagnostics.extend(check_alone(name, property, file));
    }
    check_member(properties, file, diagnostics);
    check_heartbeat(properties, file, diagnostics);
    check_login(properties, file, diagnostics);
}

impl Allowed {
    /// Why a value is refused.
    fn refusal(self, name: &str, text: &str) -> Option<String> {
        let only = |value: &str| format!("`{name}` can only be {value}");
        match self {
            Self::Nothing => Some(format!("the property `{name}` cannot be set")),
            Self::True => (!is_same("true", text)).then(|| only("true")),
            Self::False => (!is_same("false", text)).then(|| only("false")),
            Self::Text(value) => (!is_same(value, text)).then(|| only(&format!("`{value}`"))),
            Self::Between(least, most) => {
                // What is not a number is told by the library, with its own reason.
                let number = text.trim().parse::<i128>().ok()?;
                let is_within = (i128::from(least)..=i128::from(most)).contains(&number);
                let range = match least == most {
                    true => least.to_string(),
                    false => format!("from {least} to {most}"),
                };
                (!is_within).then(|| only(&range))
            }
        }
    }
}

/// True if the library reads a string as this value: it knows three spellings of each boolean.
fn is_same(value: &str, text: &str) -> bool {
    let spellings: &[&str] = match value {
        "true" => &["true", "t", "1"],
        "false" => &["false", "f", "0"],
        other => &[other],
    };
    spellings.iter().any(|spelling| spelling.eq_ignore_ascii_case(text))
}

/// Asks the library whether it knows the property and takes the value.
fn check_alone(name: &str, property: &Located<Property>, file: &Path) -> Option<Diagnostic> {
    let mut config = ClientConfig::new();
    config.set(name, property.value.reveal());
    let error = config.create_native_config().err()?;
    let reason = match &error {
        KafkaError::ClientConfig(_, reason, ..) => reason.clone(),
        // The error itself would show the value.
        KafkaError::Nul(_) => "it contains a zero byte".to_owned(),
        _ => "librdkafka rejects it".to_owned(),
    };
    if reason.starts_with("No such configuration property") {
        let message = format!("`{name}` is not a property of librdkafka");
        return Some(Diagnostic::error(file, property.place, message).help(KNOWN_PROPERTIES));
    }
    let text = property.value.reveal();
    // A number is not a secret, and the range says little without it.
    let reason = if text.parse::<i128>().is_ok() { reason } else { hide(&reason, text) };
    let reason = tidy(&reason);
    let repeated = format!("Configuration property \"{name}\" ");
    let reason = reason.strip_prefix(repeated.as_str()).unwrap_or(&reason);
    let message = format!("property `{name}`: {reason}");
    Some(Diagnostic::error(file, property.place, message).help(KNOWN_PROPERTIES))
}

/// Help for a property that the library refuses.
pub(super) const KNOWN_PROPERTIES: &str = "see CONFIGURATION.md in librdkafka's repository";

fn check_member(properties: &Properties, file: &Path, diagnostics: &mut Vec<Diagnostic>) {
    let Some(property) = properties.get(MEMBER) else { return };
    let text = property.value.reveal();
    if !text.is_empty() && !is_topic(text) {
        let message = format!("`{MEMBER}` is not a valid Kafka member id");
        let help =
            "letters, digits, `.`, `_` and `-`, at most 249; leave it empty for a dynamic member";
        diagnostics.push(Diagnostic::error(file, property.place, message).help(help));
    }
    if !text.is_empty() && is_assigned_by_brokers(properties) {
        let message = format!("`{MEMBER}` with `group.protocol: consumer`");
        let help = "after a kill, the brokers reject the next start with the same id until the \
                    session expires (45 s by default); without the id, the start only waits that long";
        diagnostics.push(Diagnostic::warning(file, property.place, message).help(help));
    }
}

fn check_heartbeat(properties: &Properties, file: &Path, diagnostics: &mut Vec<Diagnostic>) {
    let number = |name, default| match value(properties, name) {
        Some(text) => text.trim().parse::<u64>().ok(),
        None => Some(default),
    };
    // The library's defaults.
    let session = number("session.timeout.ms", 45_000);
    let heartbeat = number("heartbeat.interval.ms", 3_000);
    let (Some(session), Some(heartbeat)) = (session, heartbeat) else { return };
    let named = properties.get("heartbeat.interval.ms").or(properties.get("session.timeout.ms"));
    if let Some(property) = named.filter(|_| heartbeat >= session) {
        let message = format!(
            "a heartbeat each {heartbeat} ms (`heartbeat.interval.ms`) comes too late for a \
             session of {session} ms (`session.timeout.ms`)"
        );
        let help = "the partitions would be revoked repeatedly; a third of the session is \
                    usual";
        diagnostics.push(Diagnostic::error(file, property.place, message).help(help));
    }
}

/// SASL mechanisms that are compiled in and need no code of the application.
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn check_login(properties: &Properties, file: &Path, diagnostics: &mut Vec<Diagnostic>) {
    let protocol = properties.get("security.protocol");
    let Some(protocol) = protocol.filter(|_| security_protocol(properties).starts_with("sasl_"))
    else {
        return;
    };
    let named = properties.get("sasl.mechanism").or(properties.get("sasl.mechanisms"));
    let mechanism = named.map_or("GSSAPI", |named| named.value.reveal());
    let unsecured = value(properties, "enable.sasl.oauthbearer.unsecure.jwt");
    let is_token_made = mechanism.eq_ignore_ascii_case("OAUTHBEARER")
        && unsecured.is_some_and(|text| is_same("true", text));
    if MECHANISMS.contains(&mechanism) || is_token_made {
        return;
    }
    let message = match named {
        None => "`sasl.mechanism` is missing, and its default GSSAPI (Kerberos) is not built in",
        Some(_) if mechanism.eq_ignore_ascii_case("GSSAPI") => "GSSAPI (Kerberos) is not built in",
        Some(_) if mechanism.eq_ignore_ascii_case("OAUTHBEARER") => {
            "OAUTHBEARER needs tokens, and no token provider is built in"
        }
        Some(_) => "unknown SASL mechanism",
    };
    let place = named.unwrap_or(protocol).place;
    let help = "set `sasl.mechanism` to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, or use TLS client \
                certificates (`security.protocol: SSL`)";
    diagnostics.push(Diagnostic::error(file, place, message).help(help));
}

/// The values that must not appear in any message.
pub(super) fn secrets(properties: &Properties) -> Redaction {
    let secret = properties.iter().filter(|(name, _)| is_secret(name));
    Redaction::new(secret.map(|(_, property)| property.value.reveal().to_owned()))
}

fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 7] =
        ["password", "passphrase", "secret", ".pem", "jaas", "oauthbearer.config", "ssl_key"];
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_defaults_keep_our_promises() {
        for (name, default) in DEFAULTS {
            let rule = PROMISES.iter().find(|(ours, ..)| ours == name);
            if let Some((_, allowed, _)) = rule {
                assert_eq!(allowed.refusal(name, default), None);
            }
        }
    }

    #[test]
    fn only_properties_that_hold_secrets_are_hidden() {
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.config"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["ssl.key.location", "sasl.username", "group.instance.id", "security.protocol"]
        {
            assert!(!is_secret(name), "{name}");
        }
    }
}
