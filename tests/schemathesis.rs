//! No request made from the API's own description gets an answer that the description does not allow:
//! Schemathesis (<https://schemathesis.io>) asks the real program. Its path is in
//! `LEDGERLINE_SCHEMATHESIS`; `.ci/run` installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::path::Path;
use std::process::Command;

use common::records::produce;
use common::service::Service;
use common::{Site, TOPIC};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;
use ledgerline::monitor::access::{Role, tokens};

/// Environment variable with the path of the tool.
const TOOL: &str = "LEDGERLINE_SCHEMATHESIS";

#[test]
fn the_description_of_the_api_is_kept() {
    let Some(tool) = std::env::var_os(TOOL) else {
        let must_run = std::env::var_os("LEDGERLINE_MUST_RUN").is_some();
        assert!(!must_run, "{TOOL} names no Schemathesis");
        println!("skipped: {TOOL} names no Schemathesis");
        return;
    };
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, 2).unwrap();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, "ledger");
    let file = site.path().join("tokens.yaml");
    let token = tokens::add(&file, ("ada", Role::Operator), 0, None).unwrap();
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let closed = "access: { anonymous: none, tokens: tokens.yaml } }";
    let text = text.replace("listen: '127.0.0.1:0' }", &format!("listen: '127.0.0.1:0', {closed}"));
    assert!(text.contains(closed), "{text}");
    std::fs::write(&deployment.config, text).unwrap();
    let mut service = Service::start(&deployment);
    let address = service.until("the endpoint", Service::endpoint);
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, 2, 0..200);
    let folder = tempfile::tempdir().unwrap();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/schemathesis.toml");
    let output = Command::new(tool)
        .arg("--config-file")
        .arg(settings)
        .args(["run", &format!("http://{address}/api/v1/openapi.json")])
        .args([
            "--checks",
            "all",
            "--no-color",
            "--header",
            &format!("Authorization: Bearer {token}"),
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    let ended = service.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
}
