//! The shipped rules, dashboard and scrape configuration fit what the program says of itself: every
//! name in them is told, every alert has its tests and its section in the runbook, and the real
//! Prometheus takes, scrapes and evaluates all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::records::produce;
use common::service::{Service, get};
use common::{Deployment, Site, TOPIC, kafka, outside, program};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::{GatedProducer, Outgoing};
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

const PARTITIONS: u16 = 2;
const RULES: &str = "deploy/prometheus/ledgerline.rules.yml";
const RULES_TEST: &str = "deploy/prometheus/ledgerline.rules.test.yml";
const SCRAPE: &str = "deploy/prometheus/prometheus.yml";
const DASHBOARD: &str = "deploy/grafana/ledgerline.json";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(&text(RULES)).unwrap();
    let rules: Vec<_> = rules.groups.into_iter().flat_map(|group| group.rules).collect();
    assert!(rules.len() > 20);
    rules
}

/// Every query of the dashboard, with its variables filled in.
fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let fill = |target: &Value| {
        let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
        query.replace("$job", ".+").replace("$instance", ".+")
    };
    let queries: Vec<_> = targets.map(fill).collect();
    assert!(queries.len() > 30);
    queries
}

/// A service that has seen records of every kind, with copies of its dead letters.
struct Scene {
    producer: GatedProducer,
    service: Service,
    deployment: Deployment,
    sent: u64,
    _broker: EmbeddedBroker,
    site: Site,
}

impl Scene {
    fn new() -> Self {
        let broker = EmbeddedBroker::start(1).unwrap();
        broker.create_topic(TOPIC, PARTITIONS).unwrap();
        broker.create_topic("repair", 1).unwrap();
        let site = Site::new();
        let deployment = site.configure_kafka("ledger", &broker, "ledger");
        let mut config = std::fs::OpenOptions::new().append(true).open(&deployment.config).unwrap();
        writeln!(config, "dead_letters: {{ topic: repair }}").unwrap();
        let producer = GatedProducer::new(broker.bootstrap()).unwrap();
        let service = Service::start(&deployment);
        let mut scene = Self { producer, service, deployment, sent: 0, _broker: broker, site };
        // The last of them leaves its machine hot, and so does that of every 32 more.
        scene.produce(28);
        scene
    }

    /// Sends a few records of every kind to each partition, and waits until they are durable.
    fn produce(&mut self, count: u64) {
        produce(&mut self.producer, PARTITIONS, self.sent..self.sent + count);
        self.sent += count;
        self.service.until_durable(usize::from(PARTITIONS), self.sent);
    }

    /// Metrics of the service, and of a verification of its ledger.
    fn metrics(&mut self) -> String {
        let get = |service: &Service| service.get("/metrics").filter(|(code, _)| *code == 200);
        let (_, told) = self.service.until("metrics", get);
        let file = self.site.path().join("ledgerline.prom");
        let ledger = self.deployment.ledger.to_str().unwrap();
        let verified = program(&["verify", ledger, "--metrics", file.to_str().unwrap()]);
        assert!(verified.status.success(), "{verified:?}");
        format!("{}{}", told.as_str().unwrap(), std::fs::read_to_string(file).unwrap())
    }
}

/// Names of the samples in Prometheus' text form.
fn sample_names(metrics: &str) -> BTreeSet<String> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn every_name_that_is_asked_for_is_told() {
    let mut scene = Scene::new();
    let metrics = scene.metrics();
    let mut known = sample_names(&metrics);
    let rules = rules();
    known.extend(rules.iter().filter_map(|rule| rule.record.clone()));
    known.extend(metrics.lines().filter_map(|line| {
        // A histogram is named without the endings of its samples too.
        Some(line.strip_prefix("# TYPE ")?.split_once(' ')?.0.to_owned())
    }));
    assert!(known.len() > 40, "{known:?}");
    let name = Regex::new(r"\b[a-z_:]*ledgerline_[a-z0-9_]+[a-z0-9_:]*").unwrap();
    let mut places: Vec<_> = ["docs/operations.md", "docs/runbook.md", RULES_TEST, DASHBOARD]
        .map(|name| (name, text(name)))
        .into();
    places.extend(rules.into_iter().map(|rule| (RULES, rule.expr)));
    let mut seen = BTreeSet::new();
    for (place, text) in &places {
        for found in name.find_iter(text) {
            let found = found.as_str();
            assert!(known.contains(found), "{place} asks for {found}, which nothing tells");
            seen.insert((*place, found.to_owned()));
        }
    }
    for place in places.iter().map(|(place, _)| place) {
        assert!(seen.iter().any(|(at, _)| at == place), "{place} asks for nothing");
    }
    if let Some(promtool) = outside("promtool") {
        succeeds(promtool, &["check", "metrics"], metrics.as_bytes());
    }
    scene.service.end();
}

#[derive(Deserialize)]
struct RulesTests {
    tests: Vec<RulesTest>,
}

#[derive(Deserialize)]
struct RulesTest {
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<serde::de::IgnoredAny>,
}

#[test]
fn every_alert_has_its_tests_and_its_section_in_the_runbook() {
    let tests: RulesTests = serde_saphyr::from_str(&text(RULES_TEST)).unwrap();
    let tests: BTreeSet<_> = tests
        .tests
        .into_iter()
        .flat_map(|test| test.alert_rule_test)
        .map(|test| (test.alertname, !test.exp_alerts.is_empty()))
        .collect();
    let runbook = text("docs/runbook.md");
    let sections =
        Regex::new(r"(?m)^## (\w+)\n\n\*\*Means\.\*\* ((?s:.+?))\n\n\*\*Look\.\*\* ").unwrap();
    let sections: BTreeSet<_> =
        sections.captures_iter(&runbook).map(|found| found[1].to_owned()).collect();
    assert_eq!(sections.len(), runbook.matches("\n## ").count());
    let mut alerts = BTreeSet::new();
    for rule in rules() {
        let Some(alert) = rule.alert else { continue };
        let runbook = format!("docs/runbook.md#{}", alert.to_lowercase());
        assert_eq!(rule.annotations.get("runbook"), Some(&runbook), "{alert}");
        assert!(["critical", "warning"].contains(&&*rule.labels["severity"]), "{alert}");
        for fires in [true, false] {
            assert!(tests.contains(&(alert.clone(), fires)), "{alert}: fires, {fires}");
        }
        alerts.insert(alert);
    }
    assert_eq!(alerts, sections);
    let links = Regex::new(r"\]\(#(\w+)\)").unwrap();
    for link in links.captures_iter(&runbook) {
        let leads = alerts.iter().any(|alert| alert.to_lowercase() == link[1]);
        assert!(leads, "#{} leads nowhere", &link[1]);
    }
}

#[test]
fn the_dashboard_has_what_grafana_needs() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    assert!(dashboard["schemaVersion"].as_u64() >= Some(39));
    assert!(dashboard["id"].is_null(), "the importing Grafana gives it a number");
    let variables: Vec<_> = dashboard["templating"]["list"].as_array().unwrap().iter().collect();
    assert_eq!(variables[0]["type"], "datasource");
    let mut numbers = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && places.insert((x, y)), "{} lies on another", panel["title"]);
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["title"].is_string() && panel["description"].is_string(), "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        for asked in targets.iter().chain([panel]) {
            assert_eq!(asked["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
    for query in dashboard_queries() {
        assert!(!query.contains('$'), "no such variable: {query}");
    }
}

/// Runs a program over an input, which must succeed.
fn succeeds(mut command: Command, arguments: &[&str], input: &[u8]) {
    command.args(arguments).current_dir(path("deploy/prometheus"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn the_rules_pass_the_tests_of_promtool() {
    for (does, file) in
        [("check rules", RULES), ("check config", SCRAPE), ("test rules", RULES_TEST)]
    {
        let Some(promtool) = outside("promtool") else { return };
        let mut arguments: Vec<_> = does.split(' ').collect();
        arguments.push(Path::new(file).file_name().unwrap().to_str().unwrap());
        succeeds(promtool, &arguments, b"");
    }
}

/// A Prometheus with the shipped configuration, but for the address of the service and the pace.
struct Prometheus {
    process: Service,
    address: SocketAddr,
}

impl Prometheus {
    fn start(mut command: Command, endpoint: SocketAddr, folder: &Path) -> Self {
        let config = text(SCRAPE);
        assert!(config.contains("15s") && config.contains("127.0.0.1:8780"), "{config}");
        let config = config.replace("15s", "1s").replace("127.0.0.1:8780", &endpoint.to_string());
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        std::fs::copy(path(RULES), folder.join("ledgerline.rules.yml")).unwrap();
        let config = format!("--config.file={}", folder.join("prometheus.yml").display());
        let storage = format!("--storage.tsdb.path={}", folder.join("data").display());
        command.args([&*config, &*storage, "--web.listen-address=127.0.0.1:0"]);
        let mut process = Service::spawn(command);
        let told = Regex::new(r#"msg="?Listening on"? address=(\S+)"#).unwrap();
        let address = process.until("Prometheus listens", |process| {
            told.captures(&process.log()).map(|found| found[1].parse().unwrap())
        });
        Self { process, address }
    }

    /// Waits until a query has an answer that holds something; gives its newest values.
    fn until_some(&mut self, query: &str) -> Vec<Value> {
        let mut path = "/api/v1/query?query=".to_owned();
        query.bytes().for_each(|byte| write!(path, "%{byte:02x}").unwrap());
        let address = self.address;
        self.process.until(query, |_| {
            let found = ask(address, &path)?["result"].as_array().unwrap().clone();
            (!found.is_empty()).then_some(found)
        })
    }

    /// Waits until every rule was evaluated, which must have gone well.
    fn until_evaluated(&mut self) {
        let address = self.address;
        let rules = self.process.until("evaluated rules", |_| {
            let groups = ask(address, "/api/v1/rules")?["groups"].as_array().unwrap().clone();
            let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone());
            let rules: Vec<_> = rules.collect();
            let is_done = !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown");
            is_done.then_some(rules)
        });
        assert_eq!(rules.len(), self::rules().len());
        for rule in rules {
            assert_eq!(rule["health"], "ok", "{}: {}", rule["name"], rule["lastError"]);
        }
    }
}

/// The answer of Prometheus; `None` until it answers.
fn ask(address: SocketAddr, path: &str) -> Option<Value> {
    let (code, answer) = get(address, path)?;
    // It listens before it has read its storage.
    if code == 503 {
        return None;
    }
    assert_eq!(answer["status"], "success", "{path}: {answer}");
    Some(answer["data"].clone())
}

/// Waits until the shipped rules raise an alert over a service.
fn until_alarmed(service: &mut Service, alert: &str) {
    let Some(command) = outside("prometheus") else { return };
    let folder = tempfile::tempdir().unwrap();
    service.until_running();
    let endpoint = service.endpoint().unwrap();
    let mut prometheus = Prometheus::start(command, endpoint, folder.path());
    let is_set = |state| format!("ALERTS{{alertname=\"{alert}\", alertstate=\"{state}\"}}");
    // Some minutes must pass before most of them fire; that is for promtool.
    prometheus.until_some(&format!("{} or {}", is_set("pending"), is_set("firing")));
}

#[test]
fn a_real_prometheus_is_alarmed_by_work_that_cannot_be_done() {
    let broker = EmbeddedBroker::start(1).unwrap();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, "ledger");
    let mut service = Service::start(&deployment);
    until_alarmed(&mut service, "LedgerlineTopicMissing");
    service.end();

    broker.create_topic(TOPIC, 1).unwrap();
    let rival = kafka::rival(&broker, "ledger");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let member = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            rival.poll(std::time::Duration::from_millis(50));
        }
    });
    let mut service = Service::start(&deployment);
    until_alarmed(&mut service, "LedgerlineNotAssigned");
    drop(stop);
    member.join().unwrap();

    // Records of a kind that no mapping takes.
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    let key = br#"{"deviceType":"press","deviceId":"c1","eventType":"heartbeat"}"#;
    let heartbeat = Outgoing {
        topic: TOPIC,
        partition: 0,
        key: Some(key),
        value: Some(b"{}"),
        headers: &[],
        timestamp_ms: 1_769_860_800_000,
    };
    for _ in 0..100 {
        producer.offer(&heartbeat, |_, _| u64::MAX).unwrap();
    }
    producer.flush(std::time::Duration::from_secs(60)).unwrap();
    service.until_durable(1, 100);
    until_alarmed(&mut service, "LedgerlineEverythingFiltered");
    service.end();
}

#[test]
fn a_real_prometheus_scrapes_and_evaluates_all_of_it() {
    let Some(prometheus) = outside("prometheus") else { return };
    let mut scene = Scene::new();
    let endpoint = scene.service.endpoint().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut prometheus = Prometheus::start(prometheus, endpoint, folder.path());
    prometheus.until_some("up{job=\"ledgerline\"} == 1");
    prometheus.until_some("ledgerline_ready == 1");
    prometheus.until_some(&format!("ledgerline_records_total == {}", 2 * scene.sent));
    // What a rate is made of must grow while it looks.
    scene.produce(32);
    prometheus.until_some(&format!("ledgerline_records_total == {}", 2 * scene.sent));
    prometheus.until_evaluated();
    // The node exporter is not here, and nothing fires.
    let is_here =
        |query: &String| !query.contains("ledgerline_verify") && !query.contains("ALERTS");
    let records = rules().into_iter().filter(|rule| rule.record.is_some()).map(|rule| rule.expr);
    let queries: Vec<_> = dashboard_queries().into_iter().chain(records).filter(is_here).collect();
    assert!(queries.len() > 35);
    for query in queries {
        prometheus.until_some(&query);
    }
    scene.service.kill();
    prometheus.until_some("ALERTS{alertname=\"LedgerlineDown\", alertstate=\"pending\"}");
}
