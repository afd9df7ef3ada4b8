//! A calendar that jumps to a year before 1970, or to one that no header can write, does not bring the
//! program down: it says so with 503 while that lasts, with TLS and without, then goes on answering.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::records::produce;
use common::service::Service;
use common::{Site, TOPIC, outside};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;
use rcgen::generate_simple_self_signed;

/// Moves the calendar of a process by the seconds in a file, and leaves its monotonic clock.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void) {
    const char *path = getenv("CALENDAR");
    char text[32] = {0};
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atoll(text);
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
fn no_jump_of_the_calendar_brings_it_down() {
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
    for tls in [false, true] {
        let ledger = format!("ledger-{tls}");
        let deployment = site.configure_kafka(&ledger, &broker, &ledger);
        if tls {
            let text = std::fs::read_to_string(&deployment.config).unwrap();
            let files = "tls: { certificate: cert.pem, key: tls.pem }";
            let text = text.replace("'127.0.0.1:0' }", &format!("'127.0.0.1:0', {files} }}"));
            std::fs::write(&deployment.config, text).unwrap();
        }
        let calendar = site.path().join("calendar");
        let jump = |seconds: &str| {
            let next = site.path().join("next");
            std::fs::write(&next, seconds).unwrap();
            std::fs::rename(&next, &calendar).unwrap();
        };
        jump("0");
        let mut command = Service::command(&deployment);
        command.env("LD_PRELOAD", &library).env("CALENDAR", &calendar);
        let mut service = Service::spawn(command);
        let url = service.until("running", |service| {
            let log = service.log();
            let line = log.lines().find(|line| line.contains("\"running\""))?.to_owned();
            Some(line.split("\"endpoint\":\"").nth(1)?.split('"').next()?.to_owned())
        });
        // The Kafka client's own waits end by the calendar, so it is at work first.
        service.until("partitions are assigned", |service| {
            service.log().contains("\"assigned\"").then_some(())
        });
        // To 1935, to 1970, to the year 12,000, and back.
        for (seconds, is_written) in
            [("-2840000000", false), ("-1795600000", true), ("316000000000", false), ("0", true)]
        {
            jump(seconds);
            for path in ["/healthz", "/", "/api/v1/status", "/api/v1/blocks", "/metrics", "/absent"]
            {
                let expected = match path {
                    _ if !is_written => "503",
                    "/absent" => "404",
                    _ => "200",
                };
                let shown = format!("{seconds}, {tls}: {path}");
                assert_eq!(ask(&format!("{url}{path}")), expected, "{shown}: {}", service.log());
            }
        }
        let ended = service.end();
        assert!(!ended.log.contains("panicked"), "{tls}: {}", ended.log);
        assert_eq!(ended.code, Some(0), "{tls}: {}", ended.log);
    }
}
