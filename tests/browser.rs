//! The pages do in a real browser what they promise: they follow the ledger, lead through it, work by
//! keyboard and without script, in light and dark and on a phone, say when the service is gone, and ask
//! nobody else for anything.
//!
//! The pictures that are taken lie in `target/tmp`. Where `LEDGERLINE_AXE` names axe-core's script its
//! rules are checked on every page as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use common::browser::Browser;
use common::endpoint::{BLOCKS, Running, run_with};
use common::nginx::{Nginx, free_address};
use common::{PROGRAM, until};
use ledgerline::clock::SystemClock;
use ledgerline::monitor::access::Settings;
use serde_json::{Value, json};

/// A running demonstration. It ends when its value goes.
struct Demo {
    child: Child,
    /// Address of its page, without a slash at the end.
    page: String,
    /// Lets someone submit calls.
    token: String,
    _folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("demo");
        let mut child = Command::new(PROGRAM)
            .args(["--log", "error", "demo", "--listen", "127.0.0.1:0", "--rate", "200"])
            .arg("--directory")
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut told = |what: &str| {
            let found = lines.find_map(|line| Some(line.strip_prefix(what)?.trim().to_owned()));
            found.unwrap_or_else(|| panic!("it does not tell its {what}"))
        };
        let page = told("page").trim_end_matches('/').to_owned();
        let token = told("operator").rsplit(' ').next().unwrap().to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, page, token, _folder: folder }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One page of each kind, with something on each.
fn pages(browser: &Browser, demo: &Demo) -> Vec<(&'static str, String)> {
    let first = |page: &str, selector: &str| {
        browser.go(&format!("{}{page}", demo.page));
        browser.until(&format!("document.querySelector('{selector}')"));
        let found = browser.run(&format!("return document.querySelector('{selector}').pathname;"));
        found.as_str().unwrap().to_owned()
    };
    vec![
        ("overview", "/".to_owned()),
        ("blocks", "/blocks".to_owned()),
        ("block", format!("{}?verify=1", first("/blocks", "tbody a"))),
        ("transactions", "/transactions".to_owned()),
        ("transaction", first("/transactions?verdict=valid", "tbody a")),
        ("contracts", "/state".to_owned()),
        ("assets", "/state/cold_chain".to_owned()),
        ("asset", first("/state/cold_chain", "tbody a")),
        ("past", format!("{}?at_block=5", first("/state/cold_chain", "tbody a"))),
        ("alerts", "/alerts".to_owned()),
        ("dead-letters", "/deadletters".to_owned()),
        ("dead-letter", first("/deadletters?cause=not_json", "tbody a")),
        ("definitions", "/definitions".to_owned()),
        ("contract", "/contracts/cold_chain".to_owned()),
        ("try", "/try".to_owned()),
        ("operations", "/operations".to_owned()),
        ("operation", "/operations/cold_chain/update".to_owned()),
        ("login", "/login".to_owned()),
        ("api", "/api".to_owned()),
        ("nothing", "/nothing".to_owned()),
    ]
}

/// Fails on what a page logged and on a request to anywhere else.
fn check_logs(browser: &Browser, demo: &Demo) {
    for entry in browser.log("browser") {
        let message = entry["message"].as_str().unwrap();
        // The page of an error has the status of one.
        let is_expected = message.contains("/nothing") && message.contains("404");
        assert!(is_expected, "a page logged {entry}");
    }
    let mut asked = 0;
    for entry in browser.log("performance") {
        let entry: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        let message = &entry["message"];
        if message["method"] == "Network.requestWillBeSent" {
            let url = message["params"]["request"]["url"].as_str().unwrap();
            let is_own = url.starts_with(&demo.page) || url.starts_with("data:");
            assert!(is_own, "a page asked for {url}");
            asked += 1;
        }
    }
    assert!(asked > 0, "requests are seen");
}

/// Accessibility violations that axe-core finds on the page; empty if it is not installed.
fn violations(browser: &Browser) -> Vec<String> {
    let Some(path) = std::env::var_os("LEDGERLINE_AXE") else { return Vec::new() };
    let script = std::fs::read_to_string(path).unwrap();
    let run = "const done = arguments[arguments.length - 1]; \
        axe.run().then((found) => done(found.violations), (error) => done([{id: String(error)}]));";
    let found = browser.run_until_called(&format!("{script}\n{run}"));
    let say = |violation: &Value| {
        let nodes = violation["nodes"].as_array().into_iter().flatten().take(3);
        let nodes: Vec<_> = nodes.map(|node| node["html"].to_string()).collect();
        format!("{}: {} {nodes:?}", violation["id"], violation["help"])
    };
    found.as_array().unwrap().iter().map(say).collect()
}

/// Our own rules, which need nothing from elsewhere: names for everything that is used, headings in
/// order, and letters that stand out from what is behind them.
const OWN_RULES: &str = r"
const wrong = [];
const named = (element) => element.textContent.trim() || element.getAttribute('aria-label') ||
  (element.labels && element.labels.length > 0) || element.title;
for (const element of document.querySelectorAll('a, button, input, select, textarea')) {
  if (element.checkVisibility() && !named(element)) wrong.push('no name: ' + element.outerHTML.slice(0, 120));
}
let level = 0;
for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) wrong.push('a heading is left out before ' + heading.textContent);
  level = next;
}
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgb = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const behind = (element) => {
  for (let at = element; at !== null; at = at.parentElement) {
    const color = rgb(getComputedStyle(at).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};
const luminance = ([r, g, b]) => {
  const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('svg')) continue;
  const [front, back] = [rgb(getComputedStyle(element).color), behind(element)].map(luminance);
  const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  if (contrast < 4.5) wrong.push(`contrast ${contrast.toFixed(2)}: ` + walker.currentNode.data.slice(0, 60));
}
return wrong;
";

/// Layout errors: a page or an element wider than the window, an identifier in two pieces, a word
/// that breaks elsewhere than after a hyphen or a slash, an active tab out of view.
const FITS: &str = r"
const wrong = [];
if (document.documentElement.scrollWidth > innerWidth) {
  wrong.push(`the page is ${document.documentElement.scrollWidth} wide`);
}
const scrolls = (element) => {
  for (let at = element.parentElement; at !== document.body; at = at.parentElement) {
    if (at instanceof SVGElement || /auto|scroll/.test(getComputedStyle(at).overflowX)) return true;
  }
  return false;
};
for (const element of document.body.querySelectorAll('*')) {
  const box = element.getBoundingClientRect();
  if (box.width > 0 && box.right > innerWidth + 0.5 && !scrolls(element)) {
    wrong.push(`${Math.round(box.right)}: ` + element.outerHTML.slice(0, 100));
  }
}
const active = document.querySelector('nav [aria-current=page]')?.getBoundingClientRect();
if (active && (active.left < 0 || active.right > innerWidth || active.top < 0)) wrong.push('the active tab');
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const range = document.createRange();
const lines = (node, from, to) => {
  range.setStart(node, from);
  range.setEnd(node, to);
  return new Set([...range.getClientRects()].filter((box) => box.width > 0).map((box) => Math.round(box.top)));
};
while (walker.nextNode()) {
  const node = walker.currentNode;
  const parent = node.parentElement;
  if (parent.closest('pre, textarea, select, svg, noscript, .hidden') || !parent.checkVisibility()) continue;
  for (const word of node.data.matchAll(/\S+/g)) {
    const end = word.index + word[0].length;
    // What is longer than a line must break somewhere: digests, long keys.
    if (word[0].length > 32 || lines(node, word.index, end).size < 2) continue;
    const isWhole = parent.closest('.name, .badge, .digest, time') !== null;
    for (let at = word.index + 1; at < end; at += 1) {
      const breaks = lines(node, at - 1, at + 1).size > 1;
      if (breaks && (isWhole || !/[-/\u2026]/.test(node.data[at - 1]))) {
        wrong.push('broken: ' + word[0] + ' in ' + parent.outerHTML.slice(0, 100));
      }
    }
  }
}
return wrong;
";

fn keep(browser: &Browser, name: &str) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}.png"));
    std::fs::write(path, browser.picture()).unwrap();
}

/// Waits until the demonstration has something of every kind, and a few figures for its charts.
fn grown(browser: &Browser, demo: &Demo) {
    browser.go(&demo.page);
    browser.until("document.querySelectorAll('#charts svg').length >= 4");
    browser.until("document.querySelectorAll('#lists tbody tr td a').length > 20");
}

#[test]
fn pages_are_seen_by_everyone_everywhere() {
    let Some(browser) = Browser::open() else { return };
    let demo = Demo::start();
    grown(&browser, &demo);
    let pages = pages(&browser, &demo);
    for (scheme, width, height) in [
        ("light", 1280, 1500),
        ("dark", 1280, 1500),
        ("light", 768, 1024),
        ("dark", 390, 844),
        ("light", 390, 844),
    ] {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        browser.devtools("Emulation.setEmulatedMedia", &json!({"features": [feature]}));
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.devtools("Emulation.setDeviceMetricsOverride", &size);
        for (name, path) in &pages {
            browser.go(&format!("{}{path}", demo.page));
            assert_eq!(browser.run(FITS), json!([]), "{name} on {width} pixels");
            let wrong = browser.run(OWN_RULES);
            assert_eq!(wrong, json!([]), "{name} in {scheme}, {width} wide");
            // Markup is the same in all of them, and our own rules see the colours.
            if (scheme, width) == ("light", 1280) {
                let wrong = violations(&browser);
                assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            }
            keep(&browser, &format!("{name}-{scheme}-{width}"));
        }
        let back =
            browser.run("return getComputedStyle(document.documentElement).backgroundColor;");
        assert_eq!(back.as_str().unwrap().contains("20, 23, 26"), scheme == "dark", "{back}");
    }
    check_logs(&browser, &demo);
}

#[test]
fn a_page_follows_the_ledger() {
    let Some(browser) = Browser::open() else { return };
    let demo = Demo::start();
    for path in ["/", "/blocks", "/transactions", "/deadletters"] {
        browser.go(&format!("{}{path}", demo.page));
        browser.until("document.querySelector('main table tbody a')");
        browser
            .run("window.same = true; window.before = document.querySelector('main').textContent;");
        browser.until("document.querySelector('main').textContent !== window.before");
        browser.until("document.getElementById('service').textContent === 'Service healthy'");
        assert_eq!(browser.run("return window.same;"), json!(true), "{path} was not loaded again");
    }
    // What is open or has the focus stays as it is while the rest goes on.
    browser.go(&format!("{}/state/cold_chain", demo.page));
    browser.click("tbody a");
    browser.until("document.querySelector('.timeline details')");
    browser.click(".timeline summary");
    browser.run("window.open_one = document.querySelector('.timeline details');");
    let fetched = "performance.getEntriesByName(location.href, 'resource').length";
    browser.run(&format!("window.fetched = {fetched};"));
    browser.until(&format!("{fetched} > window.fetched + 1"));
    assert_eq!(
        browser.run("return window.open_one.isConnected && window.open_one.open;"),
        json!(true)
    );
    check_logs(&browser, &demo);
}

/// An endpoint that listens there, where anyone may look.
fn endpoint_at(listen: SocketAddr, base_path: &str) -> Running {
    let base_path = base_path.parse().unwrap();
    let settings = Settings { base_path, ..Settings::open(listen) };
    run_with(&settings, Arc::new(SystemClock::new()))
}

#[test]
fn a_page_says_when_the_service_is_gone_and_comes_back_by_itself() {
    let Some(browser) = Browser::open() else { return };
    let listen = free_address();
    let location = format!("location / {{ proxy_pass http://{listen}; }}");
    let mut running = endpoint_at(listen, "/");
    let Some(nginx) = Nginx::start(&location) else { return };
    let service = "document.getElementById('service').textContent";
    let fleet = "document.getElementById('fleet').textContent";
    // A page that follows the ledger, and one that does not; directly, and through a proxy that goes
    // on answering in the service's name.
    for (address, path) in
        [(listen, "/"), (listen, "/api"), (nginx.address, "/"), (nginx.address, "/api")]
    {
        browser.go(&format!("http://{address}{path}"));
        browser.run("window.same = true;");
        browser.until(&format!("{service} === 'Service healthy'"));
        browser.until(&format!("{fleet} === '4 assets critical'"));
        running.obstacles.lock().unwrap().push("no broker is reachable".to_owned());
        browser.until(&format!("{service} === 'Service not ready: no broker is reachable'"));
        browser.until("document.getElementById('service').className === 'bad'");
        running.obstacles.lock().unwrap().clear();
        browser.until(&format!("{service} === 'Service healthy'"));
        drop(running);
        browser.until(&format!(
            "/^No connection since [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}$/.test({service})"
        ));
        let shown = browser.run("return document.body.innerText;");
        let shown = shown.as_str().unwrap().to_lowercase();
        assert!(!shown.contains("healthy") && !shown.contains("critical,"), "{path}: {shown}");
        let color =
            browser.run("return getComputedStyle(document.getElementById('service')).color;");
        let [red, green, blue] = rgb(color.as_str().unwrap());
        assert!(red.abs_diff(green) < 24 && green.abs_diff(blue) < 24, "grey: {color}");
        running = endpoint_at(listen, "/");
        browser.until(&format!("{service} === 'Service healthy'"));
        browser.until(&format!("{fleet} === '4 assets critical'"));
        browser.until("!document.documentElement.classList.contains('away')");
        if path == "/" {
            browser.until("document.body.innerText.includes('Healthy: ingesting')");
        }
        assert_eq!(browser.run("return window.same;"), json!(true), "{path} was not loaded again");
    }
}

/// The parts of a colour such as `rgb(90, 98, 107)`.
fn rgb(color: &str) -> [u8; 3] {
    let digits = |c: char| !c.is_ascii_digit();
    let parts: Vec<_> = color.split(digits).filter_map(|part| part.parse().ok()).collect();
    parts[..3].try_into().unwrap()
}

#[test]
fn below_a_path_of_a_proxy_the_pages_work() {
    let Some(browser) = Browser::open() else { return };
    for rest in ["/", ""] {
        let mut running = endpoint_at(([127, 0, 0, 1], 0).into(), "/ledger");
        let address = running.endpoint.address();
        let location = format!("location /ledger/ {{ proxy_pass http://{address}{rest}; }}");
        let Some(nginx) = Nginx::start(&location) else { return };
        browser.go(&format!("http://{}/ledger/", nginx.address));
        browser.until("document.getElementById('service').className === 'good'");
        let margin = "return getComputedStyle(document.body).marginTop;";
        assert_eq!(browser.run(margin), json!("0px"), "the style sheet is there");
        browser.click("nav a[href='/ledger/blocks']");
        browser.until("document.querySelector('h1').textContent === 'Blocks'");
        browser.until("stream.readyState === EventSource.OPEN");
        running.append(BLOCKS);
        browser.until("document.querySelector('tbody a').textContent === '32'");
        browser.click("tbody a");
        browser.until("location.pathname === '/ledger/blocks/32'");
        browser.go(&format!("http://{}/ledger/try", nginx.address));
        browser.click("form.fill button");
        browser.until("document.querySelector('#result .finding.good, #result .badge.valid')");
        assert_eq!(browser.run("return location.pathname;"), json!("/ledger/try"));
    }
}

#[test]
fn whoever_looks_for_something_finds_it() {
    let Some(browser) = Browser::open() else { return };
    let demo = Demo::start();
    grown(&browser, &demo);
    // A device's transactions, page by page.
    browser.go(&format!("{}/transactions?verdict=valid", demo.page));
    let device = browser.run("return document.querySelector('tbody td:nth-child(3)').textContent;");
    let (device_type, id) = device.as_str().unwrap().split_once(':').unwrap();
    browser.type_into("input[name=device_type]", device_type);
    browser.type_into("input[name=device_id]", id);
    browser.click("form:nth-of-type(2) button");
    let all =
        "[...document.querySelectorAll('tbody td:nth-child(3)')].map((cell) => cell.textContent)";
    browser.until(&format!("location.search.includes('device_id=') && {all}.length > 0"));
    let devices = browser.run(&format!("return {all};"));
    assert!(devices.as_array().unwrap().iter().all(|found| *found == device), "{devices}");
    until("an older page", || {
        browser.go(&browser.url());
        (browser.run("return document.querySelector('[rel=next]') !== null;") == json!(true))
            .then_some(())
    });
    let newest = browser.run("return document.querySelector('tbody a').textContent;");
    browser.click("[rel=next]");
    browser.until("location.search.includes('before=')");
    assert_ne!(browser.run("return document.querySelector('tbody a').textContent;"), newest);
    // From a transaction to its changes, its block, and the block's verification.
    browser.click("tbody a");
    browser.until("document.querySelector('h1').textContent.startsWith('Transaction ')");
    browser.click(".facts a[href^='/blocks/']");
    browser.until("document.querySelector('h1').textContent.startsWith('Block ')");
    browser.click(".button");
    browser.until("document.querySelectorAll('.steps .good').length === 4");
    // An asset as an early block left it.
    browser.go(&format!("{}/state/cold_chain", demo.page));
    browser.click("tbody a");
    browser.type_into("input[name=at_block]", "40");
    browser.click("form button");
    browser.until("document.querySelector('.lead').textContent.startsWith('State at block 40')");
    // A dead letter, with the place that is wrong.
    browser.go(&format!("{}/deadletters", demo.page));
    browser.click("a[href='/deadletters?cause=not_json']");
    browser.until("location.search === '?cause=not_json'");
    browser.click("tbody a");
    browser.until("document.querySelector('mark')");
    check_logs(&browser, &demo);
}

#[test]
fn an_operator_tries_and_calls_and_sees_what_came_of_it() {
    let Some(browser) = Browser::open() else { return };
    let demo = Demo::start();
    grown(&browser, &demo);
    // Trying the event that is offered, and a dead letter once more.
    browser.go(&format!("{}/try", demo.page));
    browser.click("form.fill button");
    browser.until("document.querySelector('#result .finding.good, #result .badge.valid')");
    keep(&browser, "tried");
    browser.go(&format!("{}/deadletters?cause=not_json", demo.page));
    browser.click("tbody a");
    browser.click("a[href^='/try?letter=']");
    browser.until("document.querySelector('textarea[name=value]').value.length > 0");
    browser.click("form.fill button");
    browser.until("document.querySelector('#result mark')");
    // Without a name nobody submits anything.
    browser.go(&format!("{}/operations/cold_chain/update", demo.page));
    browser
        .until("document.querySelector('main').textContent.includes('requires the operator role')");
    browser.until("document.querySelector('form.fill button') === null");
    browser.go(&format!("{}/login", demo.page));
    browser.type_into("input[type=password]", &demo.token);
    browser.click("main form button");
    browser.until("document.querySelector('header').textContent.includes('operator')");
    // A check, then the call itself, which raises an alert.
    browser.go(&format!("{}/operations/cold_chain/update", demo.page));
    browser.type_into("input[name='f.assetID']", "BY-HAND");
    browser.type_into("input[name='f.temperature']", "55.50");
    browser.type_into("input[name='f.limits.maxTemperature']", "8");
    browser.click("button[value=check]");
    browser.until("document.querySelector('#result .badge.valid')");
    browser.until("/OVERTEMP/i.test(document.querySelector('#result').textContent)");
    keep(&browser, "checked");
    browser.click("button[value=submit]");
    browser
        .until("document.querySelector('h1').textContent.startsWith('Transaction ~calls/0/0/0')");
    browser.until("document.querySelector('main').textContent.includes('Manual call')");
    browser.click("h3 a");
    browser.until("document.querySelector('.alert')");
    browser.until("document.querySelector('main').textContent.includes('55.50')");
    browser.go(&format!("{}/alerts", demo.page));
    browser.until("document.querySelector('#history tbody a')");
    // The fleet raises alerts all the time: the call's own may stand on an older page by now.
    let ask = "const done = arguments[arguments.length - 1]; \
        fetch('/api/v1/alerts/history?contract=cold_chain&key=BY-HAND').then((answer) => answer.text()).then(done);";
    let told = browser.run_until_called(ask).to_string();
    assert!(told.contains("OVERTEMP") && told.contains("raised"), "{told}");
    browser.go(&format!("{}/operations", demo.page));
    browser.until("document.querySelector('#list').textContent.includes('BY-HAND')");
    check_logs(&browser, &demo);
}

#[test]
fn it_works_by_keyboard_and_without_script() {
    let Some(browser) = Browser::open() else { return };
    let demo = Demo::start();
    grown(&browser, &demo);
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    // A key that is pressed before the window has the keyboard is lost.
    until("the first key leads to the content", || {
        browser.go(&format!("{}/blocks", demo.page));
        browser.press(&[TAB]);
        let skips = browser.run("return document.activeElement.className === 'skip';");
        (skips == json!(true)).then_some(())
    });
    browser.press(&[ENTER]);
    browser.until("location.hash === '#main'");
    browser.press(&[TAB, TAB, ENTER]);
    browser.until("location.pathname.startsWith('/blocks/')");
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.go(&demo.page);
    let before = browser.run("return document.querySelector('main').textContent;");
    assert!(before.as_str().unwrap().contains("records read"), "{before}");
    // Without script it asks again by itself.
    browser.until("document.querySelector('noscript meta[http-equiv=refresh]')");
    until("a refresh without script", || {
        let now = browser.run("return document.querySelector('main').textContent;");
        (now != before).then_some(())
    });
}
