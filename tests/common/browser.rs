//! A real Chromium, driven by its own driver over the WebDriver protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::{outside, until};

/// Chromium without what it does of its own accord.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// One window. It is closed when its value goes.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Opens a window; `None` where there is no Chromium or no driver.
    pub fn open() -> Option<Self> {
        outside("chromium")?;
        let mut command = outside("chromedriver")?;
        command.arg("--port=0").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = |line: String| -> Option<u16> {
            let (_, port) = line.rsplit_once("successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        };
        let mut lines = lines;
        let port = lines.by_ref().find_map(port).expect("the driver says its port");
        // Whatever it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut browser = Self { driver, address, session: String::new() };
        let options = json!({
            "args": ARGUMENTS,
            "perfLoggingPrefs": {"enableNetwork": true, "enablePage": false},
        });
        let capabilities = json!({"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }});
        let session = browser.ask("POST", "/session", &json!({"capabilities": capabilities}));
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_ask(method, path, body).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks the driver; its answer, or what it says instead.
    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.session,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let (mut length, mut head) = (0, String::new());
        while !head.ends_with("\r\n\r\n") {
            let at = head.len();
            assert!(lines.read_line(&mut head).unwrap() > 0, "the driver went away: {head}");
            let (name, value) = head[at..].split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        lines.read_exact(&mut answer).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let shown = body.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev();
        let shown: String = shown.collect();
        match head.contains(" 200 ") {
            true => Ok(answer["value"].clone()),
            false => Err(format!("{method} {path} …{shown}: {answer:#}")),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, body)
    }

    /// Goes to an address and waits until it is loaded.
    pub fn go(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// The address it is at.
    pub fn url(&self) -> String {
        self.ask("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// Runs a script in the page; what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs a script that calls its last argument with what it found.
    pub fn run_until_called(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true in the page.
    pub fn until(&self, expression: &str) {
        let holds = format!("return Boolean({expression});");
        until(expression, || (self.run(&holds) == json!(true)).then_some(()));
    }

    fn element(&self, selector: &str) -> Result<String, String> {
        let asked = json!({"using": "css selector", "value": selector});
        let found = self.try_ask("POST", "/element", &asked)?;
        let (_, id) = found.as_object().unwrap().iter().next().unwrap();
        Ok(id.as_str().unwrap().to_owned())
    }

    /// Clicks what a selector finds first. A page that lives may replace it before it is hit: then
    /// the click goes to what stands there next.
    pub fn click(&self, selector: &str) {
        until(&format!("a click on {selector}"), || {
            let path = format!("/element/{}/click", self.element(selector).ok()?);
            self.try_ask("POST", &path, &json!({})).ok()
        });
    }

    /// Types into what a selector finds first.
    pub fn type_into(&self, selector: &str, text: &str) {
        let path = format!("/element/{}/value", self.element(selector).unwrap());
        self.post(&path, &json!({"text": text}));
    }

    /// Presses keys wherever the focus is.
    pub fn press(&self, keys: &[&str]) {
        let press = |key: &&str| {
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        };
        let actions: Vec<_> = keys.iter().flat_map(press).collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.post("/actions", &json!({"actions": [keyboard]}));
    }

    /// Asks for something beyond the protocol, by the browser's own one.
    pub fn devtools(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// A picture of the window.
    pub fn picture(&self) -> Vec<u8> {
        let picture = self.ask("GET", "/screenshot", &Value::Null);
        BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    /// Log entries since the last call: `browser` or `performance`.
    pub fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.post("/se/log", &json!({"type": kind}));
        log.as_array().unwrap().clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver and all that it started.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}
