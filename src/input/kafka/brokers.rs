//! The addresses of `brokers`. The client library reads them with `atoi` and logs what it cannot
//! read, so that a typing error would look like a broker that is away.

/// The protocols that may stand in front of an address.
const PROTOCOLS: [&str; 4] = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];

/// The errors in a list of addresses, each with its remedy.
pub(super) fn diagnostics(brokers: &str, security_protocol: &str) -> Vec<(String, String)> {
    let addresses = brokers.split(',').map(str::trim).filter(|address| !address.is_empty());
    let addresses: Vec<_> = addresses.collect();
    if addresses.is_empty() {
        return vec![("`brokers` is empty".to_owned(), "`brokers: host:9092`".to_owned())];
    }
    let diagnostic = |address: &&str| {
        let (reason, help) = address_diagnostic(address, security_protocol)?;
        Some((format!("`brokers`: `{address}`: {reason}"), help))
    };
    addresses.iter().filter_map(diagnostic).collect()
}

fn address_diagnostic(address: &str, security_protocol: &str) -> Option<(String, String)> {
    let form = || "use `host:9092`, or for IPv6 `[2001:db8::1]:9092`".to_owned();
    let rest = match address.split_once("://") {
        None => address,
        Some((protocol, rest)) => {
            let is = |known: &&str| known.eq_ignore_ascii_case(protocol);
            if !PROTOCOLS.iter().any(is) {
                return Some((format!("`{protocol}` is not a Kafka protocol"), form()));
            }
            if !protocol.eq_ignore_ascii_case(security_protocol) {
                let reason = format!("`security.protocol` is {security_protocol}, not {protocol}");
                let help = "set `security.protocol` under `properties`, and remove the protocol from \
                            the address";
                return Some((reason, help.to_owned()));
            }
            rest
        }
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, port.strip_prefix(':').or(Some(port))),
            None => return Some(("`[` has no `]`".to_owned(), form())),
        },
        None if rest.matches(':').count() > 1 => {
            return Some(("an IPv6 address needs brackets".to_owned(), form()));
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let is_of_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() {
        return Some(("the host is missing".to_owned(), form()));
    }
    if let Some(wrong) = host.chars().find(|c| !is_of_host(*c)) {
        return Some((format!("a host name cannot contain `{wrong}`"), form()));
    }
    let port = port?;
    let is_port =
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    (!is_port).then(|| (format!("the port `{port}` is not a number from 1 to 65535"), form()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let table = [
            ("host:9092", ""),
            ("host", ""),
            ("a.example.com:9092, b.example.com:9093,", ""),
            ("127.0.0.1:1", ""),
            ("[::1]:9092", ""),
            ("[fe80::1%eth0]", ""),
            ("SASL_SSL://host:9092", ""),
            ("", "`brokers` is empty"),
            (" , ", "`brokers` is empty"),
            ("host:90x2", "the port `90x2` is not a number from 1 to 65535"),
            ("host:", "the port `` is not a number"),
            ("host:0", "the port `0` is not a number"),
            ("host:65536", "the port `65536` is not a number"),
            ("host:+9092", "the port `+9092` is not a number"),
            ("host:9092;other:9092", "an IPv6 address needs brackets"),
            ("host:9092 other:9092", "an IPv6 address needs brackets"),
            ("a:1,host:9o92", "`brokers`: `host:9o92`: the port `9o92`"),
            ("::1", "an IPv6 address needs brackets"),
            ("[::1:9092", "`[` has no `]`"),
            ("[::1]9092x", "the port `9092x`"),
            (":9092", "the host is missing"),
            ("my host:9092", "a host name cannot contain ` `"),
            ("host/path:9092", "a host name cannot contain `/`"),
            ("http://host:9092", "`http` is not a Kafka protocol"),
            ("ssl://host:9092", "`security.protocol` is sasl_ssl, not ssl"),
        ];
        for (brokers, expected) in table {
            let diagnostics = diagnostics(brokers, "sasl_ssl");
            match expected {
                "" => assert!(diagnostics.is_empty(), "{brokers}: {diagnostics:?}"),
                part => {
                    assert_eq!(diagnostics.len(), 1, "{brokers}: {diagnostics:?}");
                    assert!(diagnostics[0].0.contains(part), "{brokers}: {diagnostics:?}");
                }
            }
        }
        assert_eq!(diagnostics("a:x,b:1,c:y", "plaintext").len(), 2, "each one is told");
    }
}
