//! A clock that jumps forward and back, or shows a date that no calendar has, ends nothing: every
//! page and answer still comes, and a finding says what the clock did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::endpoint::{get, run_with};
use common::until;
use ledgerline::clock::{Clock, SystemClock};
use ledgerline::monitor::access::Settings;
use serde_json::Value;

/// 2026-01-31T12:00:00Z.
const START_MS: i64 = 1_769_860_800_000;
const HOUR_MS: i64 = 3_600_000;

/// The machine's clock with a date that the test sets.
struct Jumping {
    now_ms: AtomicI64,
    machine: SystemClock,
}

impl Jumping {
    fn new() -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicI64::new(START_MS), machine: SystemClock::new() })
    }

    fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for Jumping {
    fn now_ms(&self) -> i64 {
        // The date goes on between jumps, but for one at the end of the numbers.
        let passed = i64::try_from(self.machine.monotonic().as_millis()).unwrap();
        self.now_ms.load(Ordering::SeqCst).saturating_add(passed)
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }
}

fn finding(address: SocketAddr, code: &str) -> Option<Value> {
    let findings = get(address, "/api/v1/findings").json();
    findings.as_array().unwrap().iter().find(|finding| finding["code"] == code).cloned()
}

#[test]
fn no_date_ends_an_answer() {
    let clock = Jumping::new();
    let settings = Settings::open(([127, 0, 0, 1], 0).into());
    let running = run_with(&settings, clock.clone());
    let address = running.endpoint.address();
    for (now_ms, date) in [
        (START_MS, Some("Sat, 31 Jan 2026")),
        (START_MS + 1_000 * HOUR_MS, Some("Sat, 14 Mar 2026")),
        (1_000, Some("Thu, 01 Jan 1970")),
        (-HOUR_MS, None),
        (253_402_300_800_000, None), // the year 10000
        (i64::MAX, None),
        (i64::MIN, None),
        (START_MS, Some("Sat, 31 Jan 2026")),
    ] {
        clock.set(now_ms);
        for path in [
            "/",
            "/alerts",
            "/blocks",
            "/transactions",
            "/state/cold_chain",
            "/state/cold_chain/C-001",
            "/state/cold_chain/C-001?at_block=5",
            "/deadletters",
            "/api/v1/status",
            "/api/v1/findings",
            "/api/v1/samples",
            "/api/v1/throughput",
            "/api/v1/blocks",
            "/api/v1/alerts",
            "/api/v1/alerts/history",
            "/api/v1/recent",
            "/metrics",
            "/readyz",
            "/checkpoint",
        ] {
            let reply = get(address, path);
            assert_eq!(reply.status, 200, "{path} at {now_ms}: {}", reply.text());
            let told = reply.headers.get("date").map(|date| &date[..16]);
            assert_eq!(told, date, "{path} at {now_ms}");
        }
    }
}

#[test]
fn a_clock_behind_the_newest_block_is_a_finding() {
    let clock = Jumping::new();
    let settings = Settings::open(([127, 0, 0, 1], 0).into());
    let running = run_with(&settings, clock.clone());
    let address = running.endpoint.address();
    assert_eq!(finding(address, "clock_behind"), None);
    clock.set(START_MS - HOUR_MS);
    let found = finding(address, "clock_behind").unwrap();
    assert_eq!(found["gravity"], "warning");
    assert!(found["what"].as_str().unwrap().contains("2026-01-31T12:00"), "{found}");
    let status = get(address, "/api/v1/status").json();
    assert_eq!(status["block_age_seconds"], 0.0, "no age is negative: {status}");
    clock.set(START_MS);
    assert_eq!(finding(address, "clock_behind"), None);
}

#[test]
fn a_clock_that_jumps_forward_and_back_is_a_finding() {
    let clock = Jumping::new();
    let settings = Settings::open(([127, 0, 0, 1], 0).into());
    let running = run_with(&settings, clock.clone());
    let address = running.endpoint.address();
    assert_eq!(finding(address, "clock_jumped"), None);
    for (now_ms, says) in [(START_MS + HOUR_MS, "forward by 3"), (START_MS, "back by 3")] {
        clock.set(now_ms);
        until("the finding of a jump", || {
            let found = finding(address, "clock_jumped")?;
            found["what"].as_str().unwrap().contains(says).then_some(())
        });
        let metrics = get(address, "/metrics").text();
        assert!(metrics.contains("ledgerline_findings{code=\"clock_jumped\"} 1"), "{metrics}");
    }
}
