//! `top` shows a running service in words, says so when nobody answers, and gives the terminal back
//! as it was whichever way it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use common::records::produce;
use common::service::Service;
use common::{PROGRAM, Site, TOPIC, found, program, succeed, until};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;

const PARTITIONS: u16 = 2;
/// The last record of each partition is a burst that leaves its machine hot.
const COUNT: u64 = 28;
/// Control sequences that take over a terminal and give it back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";

struct Scene {
    service: Service,
    _broker: EmbeddedBroker,
    _site: Site,
}

impl Scene {
    fn new() -> Self {
        let broker = EmbeddedBroker::start(1).unwrap();
        broker.create_topic(TOPIC, PARTITIONS).unwrap();
        let site = Site::new();
        let deployment = site.configure_kafka("ledger", &broker, "ledger");
        let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
        let mut service = Service::start(&deployment);
        produce(&mut producer, PARTITIONS, 0..COUNT);
        service.until_durable(usize::from(PARTITIONS), COUNT);
        Self { service, _broker: broker, _site: site }
    }

    fn url(&self) -> String {
        format!("http://{}", self.service.endpoint().unwrap())
    }
}

#[test]
fn one_picture_is_printed_as_text() {
    let mut scene = Scene::new();
    let status = scene.service.until_status("partitions' ends", |status| {
        let mut partitions = status["partitions"].as_array().unwrap().iter();
        partitions.all(|partition| partition["lag"] == 0)
    });
    let url = scene.url();
    let object = succeed(&["top", "--once", "--json", "--url", &url]);
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object["status"]["records"]["read"], status["records"]["read"]);
    // A proxy for the rest of the network is not asked for what is on this machine.
    let mut behind_proxy = Command::new(PROGRAM);
    behind_proxy.args(["top", "--once", "--json", "--url", &url]);
    behind_proxy.env("HTTP_PROXY", "http://127.0.0.1:1").env("http_proxy", "http://127.0.0.1:1");
    let output = behind_proxy.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let picture = succeed(&["top", "--once", "--url", &url]);
    let dead = status["records"]["dead_lettered"].as_u64().unwrap();
    for text in [
        &format!("example.com/test · {url} · ready: ingesting"),
        "│0  at most 0 in the last minute",
        &format!("blocks     {}, newest ", status["height"]),
        &format!("entries    {}", status["entries"]),
        &format!("read       {}", u64::from(PARTITIONS) * COUNT),
        "rejected 2",
        " lag: 0 ",
        "telemetry/1              0",
        "machine HOT 2  machine-0-0, machine-1-0",
        &format!(" dead letters: {dead} "),
        "not_json",
        "telemetry/0/23 not_json",
    ] {
        assert!(picture.contains(text), "{text} is not in\n{picture}");
    }
    assert!(!picture.contains('\u{1b}'), "plain text: {picture:?}");
    assert!(picture.lines().all(|line| line.chars().count() <= 120 && !line.ends_with(' ')));
    let slash = succeed(&["top", "--once", "--url", &format!("{url}/")]);
    assert!(slash.contains(&format!("{url} · ready")), "{slash}");
    scene.service.end();
}

/// Answers every connection with these bytes, as often as `times` says, and goes.
fn answering(bytes: &'static [u8], times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            for _ in 0..times {
                // Who has read enough goes away.
                if stream.write_all(bytes).is_err() {
                    break;
                }
            }
        }
    });
    url
}

/// A listener that never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn who_does_not_answer_is_named_with_what_helps() {
    let (free, away) = silent();
    drop(free);
    let (_listener, slow) = silent();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 31\r\n\r\n\
        {\"detail\":\"too many \\u001b[2J\"}";
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n                         ";
    for (url, says) in [
        (away, "no answer from http://127.0.0.1:"),
        (answering(b"SSH-2.0-OpenSSH\r\n", 1), "is not an endpoint of Ledgerline"),
        (answering(ok, 1), "/api/v1/status gives no answer of Ledgerline's"),
        (answering(busy, 1), "503 Service Unavailable: too many \\u{1b}[2J"),
        (answering(endless, 1_000_000), "answers with more than"),
        (slow, "did not answer within 5 s"),
    ] {
        let output = program(&["top", "--once", "--url", &url]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{url}: {said}");
        assert!(said.contains(says) && said.contains(&url), "{says}: {said}");
        assert!(output.stdout.is_empty());
    }
    for url in ["ftp://127.0.0.1:1", "127.0.0.1:8780", "http://", "file:///etc/passwd"] {
        let output = program(&["top", "--once", "--url", url]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{url}: {said}");
        assert!(said.contains(url) && said.contains("http"), "{said}");
    }
    let output = program(&["top"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--once"));
}

/// `top` on a terminal of its own, made by `script`.
struct OnTerminal {
    script: Child,
    shown: Arc<Mutex<String>>,
}

impl OnTerminal {
    fn start(mut script: Command, url: &str) -> Self {
        let inner = format!(
            "stty rows 30 cols 100; before=$(stty -g); \
             sh -c 'echo process $$.; exec {PROGRAM} top --url {url}'; code=$?; \
             [ \"$before\" = \"$(stty -g)\" ] && echo same settings; echo ended with $code"
        );
        script.args(["-qec", &inner, "/dev/null"]).env("TERM", "xterm");
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = script.spawn().unwrap();
        let shown = Arc::<Mutex<String>>::default();
        let (mut from, into) = (script.stdout.take().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { script, shown }
    }

    fn until_shown(&self, text: &str) {
        let shown = || self.shown.lock().unwrap().contains(text).then_some(());
        until(&format!("{text} on the terminal: {}", self.shown.lock().unwrap()), shown);
    }

    /// The number of its process, which was told before it began.
    fn process(&self) -> String {
        let shown = self.shown.lock().unwrap();
        let (_, told) = shown.split_once("process ").unwrap();
        told.split_once('.').unwrap().0.to_owned()
    }

    fn press(&mut self, keys: &str) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// It has ended well, and left the terminal as it was.
    fn has_ended(mut self) {
        self.until_shown("ended with 0");
        self.script.wait().unwrap();
        let shown = self.shown.lock().unwrap();
        assert!(shown.contains("same settings"), "{shown}");
        let end = shown.find(GIVEN_BACK).expect("the other screen is left");
        assert!(shown.find(TAKEN).unwrap() < end);
        assert!(!shown[end..].contains(TAKEN));
        assert!(shown[end..].contains("\u{1b}[?25h"), "the cursor is shown again");
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let mut scene = Scene::new();
    let url = scene.url();
    let Some(script) = found("script") else {
        println!("skipped: `script` is not installed here");
        return;
    };
    drop(script);
    for keys in ["q", "\u{1b}", "\u{3}"] {
        let mut terminal = OnTerminal::start(found("script").unwrap(), &url);
        terminal.until_shown("ready: ingesting");
        terminal.until_shown("dead letters: ");
        terminal.press("p");
        terminal.until_shown("paused");
        terminal.press("\u{1b}[C\u{1b}[B\u{1b}[A");
        terminal.press(keys);
        terminal.has_ended();
    }
    let terminal = OnTerminal::start(found("script").unwrap(), &url);
    terminal.until_shown("ready: ingesting");
    assert!(Command::new("kill").args(["-TERM", &terminal.process()]).status().unwrap().success());
    terminal.has_ended();

    // It goes on where the service has gone.
    let mut terminal = OnTerminal::start(found("script").unwrap(), &url);
    terminal.until_shown("ready: ingesting");
    let address = scene.service.endpoint().unwrap();
    scene.service.signal("TERM");
    until("the end of the service", || scene.service.has_ended().then_some(()));
    assert!(TcpStream::connect(address).is_err());
    terminal.until_shown("no answer from");
    terminal.press("q");
    terminal.has_ended();
}
