//! TLS of the endpoint and of `top`: an eavesdropper can neither read nor change anything, a
//! renewed certificate is loaded, and a client's certificate identifies the caller.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use common::endpoint::*;
use common::{PROGRAM, until};
use ledgerline::clock::SystemClock;
use ledgerline::codec::Digest;
use ledgerline::monitor::access::tls::{self, Tls};
use ledgerline::monitor::access::{
    AccessSettings, CertificateMatch, CertificateRule, JwtSettings, KeySet, KeySource, Role,
    Settings, TlsSettings, tokens,
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;
use tokio_rustls::rustls::crypto;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    StreamOwned,
};

/// An authority that makes certificates.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM form.
struct Identity {
    certificate: String,
    der: Vec<u8>,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn identity(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages.push(purpose);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (der, certificate) = (certificate.der().to_vec(), certificate.pem());
        Identity { certificate, der, key: key.serialize_pem() }
    }

    fn server(&self) -> Identity {
        self.identity(&["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn client(&self, name: &str) -> Identity {
        self.identity(&[name], ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// A folder with the files of an endpoint.
struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new() };
        site.write("ca.pem", &site.authority.certificate.pem());
        site.renew();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// Makes a new certificate of the server.
    fn renew(&self) -> Identity {
        let server = self.authority.server();
        self.write("cert.pem", &server.certificate);
        self.write("key.pem", &server.key);
        server
    }

    fn settings(&self, access: AccessSettings) -> Settings {
        let tls = TlsSettings {
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_authorities: None,
            require_client: false,
        };
        Settings { tls: Some(tls), access, ..Settings::open(([127, 0, 0, 1], 0).into()) }
    }
}

fn open() -> AccessSettings {
    AccessSettings { anonymous: Some(Role::Viewer), ..AccessSettings::default() }
}

/// The TLS configuration of a client: its trusted authority and its own identity.
fn client(authority: &Authority, shown: Option<&Identity>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key, .. }) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    })
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A connection whose handshake was found good on both sides.
fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<Stream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

/// Asks over TLS; `None` where no connection comes about. (With TLS 1.3 a server refuses a client's
/// certificate only when the client has begun to speak.)
fn ask(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    path: &str,
    headers: &str,
) -> Option<Reply> {
    let mut stream = connect(address, config).ok()?;
    let head = "Host: localhost\r\nConnection: close\r\n";
    let request = format!("GET {path} HTTP/1.1\r\n{head}{headers}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = vec![0];
    stream.read_exact(&mut answer).ok()?;
    stream.read_to_end(&mut answer).ok()?;
    Some(Reply::read(&answer))
}

#[test]
fn it_is_encrypted_or_nothing_is_said() {
    let site = Site::new();
    let running = run_with(&site.settings(open()), Arc::new(SystemClock::new()));
    let address = running.endpoint.address();
    assert_eq!(running.endpoint.url(), format!("https://{address}"));
    let config = client(&site.authority, None);
    let reply = ask(address, &config, "/api/v1/status", "").unwrap();
    assert_eq!((reply.status, reply.json()["ledger"].as_str()), (200, Some(LEDGER)));
    assert_eq!(reply.headers["strict-transport-security"], "max-age=31536000");
    let stranger = client(&Authority::new(), None);
    assert!(connect(address, &stranger).is_err(), "the client does not believe it");
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("HTTP/") && !said.contains(LEDGER), "{said}");
}

#[test]
fn a_key_that_everyone_can_read_is_refused() {
    let site = Site::new();
    let settings = site.settings(open()).tls.unwrap();
    for (mode, is_taken) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
        let key = PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&settings.key, key).unwrap();
        let opened = Tls::open(&settings);
        assert_eq!(opened.is_ok(), is_taken, "{mode:o}");
        let said = opened.err().unwrap_or_default();
        assert!(is_taken || said.contains(&format!("mode {mode:04o}")), "{said}");
    }
}

#[test]
fn a_login_over_tls_stays_there() {
    let site = Site::new();
    let file = site.path("tokens.yaml");
    let token = tokens::add(&file, ("ada", Role::Viewer), 0, None).unwrap();
    let access = AccessSettings { tokens: Some(file), ..AccessSettings::default() };
    let running = run_with(&site.settings(access), Arc::new(SystemClock::new()));
    let (address, config) = (running.endpoint.address(), client(&site.authority, None));
    let body = format!("token={token}");
    let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let form = format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    let reply = exchange(connect(address, &config).unwrap(), &form);
    let cookie = &reply.headers["set-cookie"];
    assert!(cookie.starts_with("__Host-ledgerline=") && cookie.contains("; Secure"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(ask(address, &config, "/api/v1/status", &cookie).unwrap().status, 200);
    assert_eq!(ask(address, &config, "/api/v1/status", "").unwrap().status, 401);
}

#[test]
fn a_certificate_that_is_renewed_is_taken() {
    let site = Site::new();
    let running = run_with(&site.settings(open()), Arc::new(SystemClock::new()));
    let (address, config) = (running.endpoint.address(), client(&site.authority, None));
    let shown = || {
        let stream = connect(address, &config).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown();
    let key = std::fs::read_to_string(site.path("key.pem")).unwrap();
    site.write("key.pem", "no key");
    let server = site.renew();
    until("the new one is shown", || (shown() == server.der).then_some(()));
    assert_ne!(first, server.der);
    // A key that does not fit is no reason to end.
    site.write("key.pem", &key);
    let other = site.authority.server();
    site.write("cert.pem", &other.certificate);
    site.write("key.pem", &other.key);
    until("the next one is shown", || (shown() == other.der).then_some(()));
}

#[test]
fn a_client_certificate_says_who_it_is() {
    let site = Site::new();
    let right = site.authority.client("scraper.example.com");
    let wild = site.authority.client("*.example.com");
    let pinned = site.authority.client("a-machine");
    let unnamed = site.authority.client("someone.else");
    let foreign = Authority::new();
    let forged = foreign.client("scraper.example.com");
    let server =
        site.authority.identity(&["scraper.example.com"], ExtendedKeyUsagePurpose::ServerAuth);
    let rule = |name: &str, role, which| CertificateRule { name: name.to_owned(), role, which };
    let certificates = vec![
        rule("scraper", Role::Viewer, CertificateMatch::Name("scraper.example.com".to_owned())),
        rule("machine", Role::Operator, CertificateMatch::Sha256(Digest::of(&pinned.der))),
    ];
    for require_client in [false, true] {
        let access =
            AccessSettings { certificates: certificates.clone(), ..AccessSettings::default() };
        let mut settings = site.settings(access);
        let tls = settings.tls.as_mut().unwrap();
        (tls.client_authorities, tls.require_client) = (Some(site.path("ca.pem")), require_client);
        let running = run_with(&settings, Arc::new(SystemClock::new()));
        let address = running.endpoint.address();
        for (what, shown, expected, name) in [
            ("the right one", Some(&right), Some(200), "<bdi>scraper</bdi> (viewer)"),
            ("a wildcard that covers it", Some(&wild), Some(401), ""),
            ("a pinned one", Some(&pinned), Some(200), "<bdi>machine</bdi> (operator)"),
            ("one that nobody named", Some(&unnamed), Some(401), ""),
            ("of another authority", Some(&forged), None, ""),
            ("for a server", Some(&server), None, ""),
            ("none", None, (!require_client).then_some(401), ""),
        ] {
            let config = client(&site.authority, shown);
            let reply = ask(address, &config, "/api/v1/status", "");
            assert_eq!(reply.map(|reply| reply.status), expected, "{what}, {require_client}");
            if expected == Some(200) {
                let page = ask(address, &config, "/", "").unwrap().text();
                assert!(page.contains(name) && !page.contains("Log out"), "{what}");
            }
        }
    }
}

#[test]
fn a_client_certificate_is_checked_on_every_connection() {
    let site = Site::new();
    let shown = site.authority.client("scraper.example.com");
    for (authorities, expected) in
        [(None, HandshakeKind::Resumed), (Some(site.path("ca.pem")), HandshakeKind::Full)]
    {
        let mut settings = site.settings(open());
        settings.tls.as_mut().unwrap().client_authorities = authorities;
        let running = run_with(&settings, Arc::new(SystemClock::new()));
        let address = running.endpoint.address();
        let config = client(&site.authority, Some(&shown));
        // To its end, so that all tickets have come.
        assert_eq!(ask(address, &config, "/api/v1/status", "").unwrap().status, 200);
        let stream = connect(address, &config).unwrap();
        assert_eq!(stream.conn.handshake_kind(), Some(expected));
    }
}

#[test]
fn a_key_that_becomes_readable_for_everyone_is_not_taken() {
    let site = Site::new();
    let settings = site.settings(open()).tls.unwrap();
    let tls = Tls::open(&settings).unwrap();
    let taken = || format!("{:?}", Arc::as_ptr(tls.acceptor().config()));
    let first = taken();
    site.renew();
    let key = |mode| std::fs::set_permissions(&settings.key, PermissionsExt::from_mode(mode));
    key(0o644).unwrap();
    tls.look();
    assert_eq!(taken(), first, "everyone can read the new key");
    key(0o600).unwrap();
    tls.look();
    assert_ne!(taken(), first);
}

#[test]
fn names_of_client_certificates_match_exactly() {
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let address = |text: &str| SanType::IpAddress(text.parse().unwrap());
    let spiffe = "spiffe://example.com/scraper";
    for (names, wanted, is_it) in [
        (vec![dns("scraper.example.com")], "scraper.example.com", true),
        (vec![dns("scraper.example.com")], "SCRAPER.Example.com", true),
        (vec![dns("SCRAPER.Example.com")], "scraper.example.com", true),
        (vec![dns("scraper.example.com")], "scraper.example.com.", true),
        (vec![dns("scraper.example.com")], "example.com", false),
        (vec![dns("scraper.example.com")], "a.scraper.example.com", false),
        (vec![dns("*.example.com")], "scraper.example.com", false),
        (vec![dns("*.example.com")], "*.example.com", false),
        (vec![dns("scraper.example.com")], "*.example.com", false),
        (vec![dns("other.example.com"), dns("scraper.example.com")], "scraper.example.com", true),
        (vec![uri(spiffe), dns("a"), address("192.0.2.1")], "192.0.2.1", true),
        (vec![uri(spiffe), dns("a"), address("192.0.2.1")], spiffe, true),
        (vec![uri(spiffe)], "spiffe://example.com/Scraper", false),
        (vec![uri(spiffe)], "spiffe://example.com/", false),
        (vec![uri(spiffe)], "example.com", false),
        (vec![address("192.0.2.1")], "::ffff:192.0.2.1", true),
        (vec![address("192.0.2.1")], "192.0.2.2", false),
        (vec![address("2001:db8::1")], "2001:DB8:0::1", true),
        (vec![dns("192.0.2.1")], "192.0.2.1", false),
        (vec![], "scraper.example.com", false),
    ] {
        let mut params = CertificateParams::default();
        // A common name counts nowhere.
        params.distinguished_name.push(DnType::CommonName, "scraper.example.com");
        let shown = format!("{names:?} as {wanted}");
        params.subject_alt_names = names;
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let rule = CertificateRule {
            name: "scraper".to_owned(),
            role: Role::Viewer,
            which: CertificateMatch::Name(wanted.to_owned()),
        };
        assert_eq!(tls::caller(&[rule], &der).is_some(), is_it, "{shown}");
    }
    for (text, is_fine) in [
        ("scraper.example.com", true),
        ("192.0.2.1", true),
        ("2001:db8::1", true),
        (spiffe, true),
        ("urn:uuid:1", true),
        ("*.example.com", false),
        ("", false),
        ("a b", false),
        (":x", false),
    ] {
        assert_eq!(tls::check_san(text).is_ok(), is_fine, "{text}");
    }
}

#[test]
fn a_handshake_that_never_ends_holds_nobody_up() {
    let site = Site::new();
    let running = run_with(&site.settings(open()), Arc::new(SystemClock::new()));
    let address = running.endpoint.address();
    let mut slow: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    let config = client(&site.authority, None);
    assert_eq!(ask(address, &config, "/api/v1/status", "").unwrap().status, 200);
    running.endpoint.stop();
    let ended = slow[0].read(&mut [0]);
    assert!(ended.is_err() || ended.is_ok_and(|length| length == 0), "it is not waited for");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

/// Answers every question with a key set, over TLS; counts those who went away before they asked.
fn serve_keys(server: &Identity, body: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let gone = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&gone);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            if stream.read(&mut [0; 4_096]).is_err() {
                count.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, gone)
}

#[test]
fn keys_of_an_identity_provider_come_from_whom_its_authority_vouches_for() {
    let site = Site::new();
    let foreign = Authority::new();
    site.write("foreign.pem", &foreign.certificate.pem());
    let pair = KeyPair::generate().unwrap();
    let [x, y] =
        [1..33, 33..65].map(|part| BASE64_URL_SAFE_NO_PAD.encode(&pair.public_key_raw()[part]));
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y}]});
    let (server, gone) = serve_keys(&site.authority.server(), keys.to_string());
    let url = format!("https://localhost:{}/keys", server.port());
    let message = [
        json!({"alg": "ES256", "kid": "k"}),
        json!({"iss": "i", "aud": "a", "sub": "ada", "exp": 4_000_000_000_u64, "role": "see"}),
    ];
    let message = message.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let (how, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let signer = EcdsaKeyPair::from_pkcs8(how, &pair.serialize_der(), &random).unwrap();
    let signature = signer.sign(&random, message.as_bytes()).unwrap();
    let token =
        format!("Authorization: Bearer {message}.{}\r\n", BASE64_URL_SAFE_NO_PAD.encode(signature));
    let start = |authorities: &str| {
        let jwt = JwtSettings {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            keys: KeySource::Url(url.clone()),
            authorities: Some(site.path(authorities)),
            name_claim: "sub".to_owned(),
            role_claim: "role".to_owned(),
            roles: [("see".to_owned(), Role::Viewer)].into(),
        };
        let access = AccessSettings { jwt: Some(jwt), ..AccessSettings::default() };
        let settings = Settings { access, ..Settings::open(([127, 0, 0, 1], 0).into()) };
        run_with(&settings, Arc::new(SystemClock::new()))
    };
    let is_in = |running: &Running| {
        get_with(running.endpoint.address(), "/api/v1/status", &token).status == 200
    };
    let running = start("ca.pem");
    until("the keys are there", || is_in(&running).then_some(()));
    assert_eq!(gone.load(Ordering::SeqCst), 0);
    let running = start("foreign.pem");
    until("it went away", || (gone.load(Ordering::SeqCst) > 0).then_some(()));
    assert!(!is_in(&running));
    // An authority that is renewed is read for the next question.
    let set = KeySet::open(&KeySource::Url(url.clone()), Some(&site.path("foreign.pem"))).unwrap();
    let before = gone.load(Ordering::SeqCst);
    follow_until(&set, || gone.load(Ordering::SeqCst) > before);
    site.write("foreign.pem", &site.authority.certificate.pem());
    follow_until(&set, || format!("{:?}", set.get()).contains('k'));
}

/// Asks for a key set until something holds.
fn follow_until(set: &KeySet, holds: impl Fn() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let held = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            () = set.follow() => panic!("it never ends"),
            () = held => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it never came"),
        }
    });
}

/// The example of the page about access, with a key set that needs no network.
#[test]
fn the_documented_example_is_accepted() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = page.split("```yaml\n").find(|block| block.starts_with("monitor:\n")).unwrap();
    let block = block.split("```").next().unwrap();
    let line = block.lines().find(|line| line.contains("keys: https://")).unwrap();
    let site = Site::new();
    std::fs::create_dir(site.path("tls")).unwrap();
    for (from, to) in
        [("cert.pem", "tls/cert.pem"), ("key.pem", "tls/key.pem"), ("ca.pem", "tls/clients.pem")]
    {
        std::fs::rename(site.path(from), site.path(to)).unwrap();
    }
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    site.write("keys.json", &json!({"keys": [key]}).to_string());
    site.write("records.jsonl", "");
    tokens::add(&site.path("tokens.yaml"), ("ada", Role::Operator), 0, None).unwrap();
    ledgerline::transaction::write_new_key_file(&site.path("ledger.pem")).unwrap();
    let block = block.replace(line, "      keys: keys.json");
    let rest = "ledger: { name: example.com/a, directory: ledger, key: ledger.pem }\n\
        source: { file: { path: records.jsonl } }\nmappings: []\ncontracts: []\n";
    site.write("ledgerline.yaml", &format!("{rest}{block}"));
    let checked = ledgerline::config::load(&site.path("ledgerline.yaml"));
    let settings =
        checked.config.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)).monitor.unwrap();
    assert_eq!(settings.access.anonymous, None);
    assert_eq!(settings.access.jwt.unwrap().role_claim, "realm_access.roles");
    assert_eq!(settings.access.certificates[0].name, "prometheus");
    // Without encryption, or without anyone to let in, it is none.
    let at = block.find("  access:").unwrap();
    let without_tls: String =
        block.lines().filter(|line| !line.contains("tls:")).collect::<Vec<_>>().join("\n");
    for (text, said) in [
        (&block[..at], "nobody could sign in"),
        (&without_tls, "without encryption"),
        ("monitor: { listen: '0.0.0.0:1', behind_proxy: true }\n", ""),
        ("monitor: { listen: '127.0.0.1:1' }\n", ""),
    ] {
        site.write("ledgerline.yaml", &format!("{rest}{text}"));
        let checked = ledgerline::config::load(&site.path("ledgerline.yaml"));
        let diagnostics: Vec<_> = checked.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(checked.config.is_some(), said.is_empty(), "{text}: {diagnostics:?}");
        assert!(diagnostics.join("\n").contains(said), "{diagnostics:?}");
        if let Some(config) = checked.config {
            assert_eq!(config.monitor.unwrap().access.anonymous, Some(Role::Viewer));
        }
    }
}

fn top(arguments: &[&str], token: Option<&str>) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["top", "--once"]).args(arguments).env_remove("LEDGERLINE_TOKEN");
    command.envs(token.map(|token| ("LEDGERLINE_TOKEN", token)));
    command.output().unwrap()
}

#[test]
fn top_asks_over_tls_with_a_token() {
    let site = Site::new();
    let file = site.path("tokens.yaml");
    let token = tokens::add(&file, ("ada", Role::Viewer), 0, None).unwrap();
    site.write("token", &format!("{token}\n"));
    let access = AccessSettings { tokens: Some(file), ..AccessSettings::default() };
    let running = run_with(&site.settings(access), Arc::new(SystemClock::new()));
    let url = running.endpoint.url();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (ca, file, absent) =
        (text(&site.path("ca.pem")), text(&site.path("token")), text(&site.path("x")));
    for (arguments, given, code, said) in [
        (&["--url", &*url, "--ca", &*ca, "--token-file", &*file][..], None, 0, LEDGER),
        (&["--url", &*url, "--ca", &*ca], Some(&*token), 0, LEDGER),
        (
            &["--url", &*url, "--ca", &*ca],
            None,
            69,
            "401 Unauthorized: this requires the role viewer",
        ),
        (&["--url", &*url, "--ca", &*ca], Some("x"), 69, "unknown token"),
        (&["--url", &*url], Some(&*token), 69, "--ca"),
        (&["--url", &*url, "--ca", &*absent], None, 64, "not found"),
        (&["--url", &*url, "--ca", &*ca, "--token-file", &*absent], None, 64, "not found"),
        (&["--url", "http://192.0.2.1:1"], Some(&*token), 64, "sent only over https"),
    ] {
        let ended = top(arguments, given);
        let all = [&ended.stdout[..], &ended.stderr].concat();
        let all = String::from_utf8_lossy(&all).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {all}");
        assert!(all.contains(said) && !all.contains(&token), "{arguments:?}: {all}");
    }
}
