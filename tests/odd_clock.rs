//! A clock that was never set, or is set to a year that no header can write, brings the program down
//! nowhere: it starts, takes records in and answers, with TLS and without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::records::produce;
use common::service::Service;
use common::{Site, TOPIC, outside};
use ledgerline::source::broker::EmbeddedBroker;
use ledgerline::source::producer::GatedProducer;
use rcgen::generate_simple_self_signed;

/// Moves the calendar of a process, and leaves its monotonic clock.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void) {
    const char *seconds = getenv("CALENDAR_OFFSET");
    return seconds ? atoll(seconds) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (out) *out = precise.tv_sec;
    return precise.tv_sec;
}
"#;

/// Compiles the shim; `None` where there is no compiler.
fn shim(folder: &Path) -> Option<std::path::PathBuf> {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let mut compiler = outside("gcc")?;
    let compiled = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(compiled.unwrap().success());
    Some(library)
}

/// Status code of an address, asked for by curl.
fn ask(url: &str) -> String {
    let mut curl = Command::new("curl");
    let output = curl.args(["--silent", "--insecure", "--max-time", "30", "--output", "/dev/null"]);
    let output = output.args(["--write-out", "%{http_code}", url]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn any_calendar_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = shim(folder.path()) else { return };
    if outside("curl").is_none() {
        return;
    }
    let site = Site::new();
    let made = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (name, text) in
        [("cert.pem", made.cert.pem()), ("tls.pem", made.signing_key.serialize_pem())]
    {
        let path = site.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, 1).unwrap();
    produce(&mut GatedProducer::new(broker.bootstrap()).unwrap(), 1, 0..50);
    // 1935, 1970 and the years 12,000 and 292,000,000,000, from the 2020s on.
    for (number, offset) in ["-2840000000", "-1790000000", "316000000000", "9223372030000000000"]
        .into_iter()
        .enumerate()
    {
        for tls in [false, true] {
            let ledger = format!("ledger-{number}-{tls}");
            let deployment = site.configure_kafka(&ledger, &broker, &ledger);
            let mut text = std::fs::read_to_string(&deployment.config).unwrap();
            if tls {
                let files = "tls: { certificate: cert.pem, key: tls.pem }";
                text = text.replace("'127.0.0.1:0' }", &format!("'127.0.0.1:0', {files} }}"));
                std::fs::write(&deployment.config, &text).unwrap();
            }
            let mut command = Service::command(&deployment);
            command.env("LD_PRELOAD", &library).env("CALENDAR_OFFSET", offset);
            let mut service = Service::spawn(command);
            let shown = format!("{offset}, {tls}");
            let url = service.until(&shown, |service| {
                let log = service.log();
                let line = log.lines().find(|line| line.contains("\"running\""))?.to_owned();
                let url = line.split("\"endpoint\":\"").nth(1)?.split('"').next()?.to_owned();
                Some(url)
            });
            for path in ["/healthz", "/", "/api/v1/status", "/api/v1/blocks", "/metrics", "/absent"]
            {
                let expected = if path == "/absent" { "404" } else { "200" };
                assert_eq!(ask(&format!("{url}{path}")), expected, "{shown}: {path}");
            }
            let ended = service.end();
            assert!(!ended.log.contains("panicked"), "{shown}: {}", ended.log);
            assert_eq!(ended.code, Some(0), "{shown}: {}", ended.log);
        }
    }
}
