//! The page frame: head, navigation, health of service and fleet, footer.

use std::sync::Arc;

use maud::{DOCTYPE, Markup, html};

use crate::ledger::LedgerReader;
use crate::monitor::access::{Caller, How};
use crate::monitor::http::answer::Problem;
use crate::monitor::http::asking::App;
use crate::monitor::http::route::Table;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::text;
use crate::query::json;
use crate::query::views::{FleetView, grouped, time_text};

/// The part of a page inside the frame.
pub struct Content {
    /// Its heading.
    pub title: String,
    /// True if it changes with the ledger: it follows the stream, or refreshes itself without
    /// script.
    pub is_live: bool,
    /// Everything below the heading.
    pub body: Markup,
}

/// The reader of a page, and its place in the navigation.
pub struct Visitor {
    /// The caller; `None` where nobody was asked for.
    pub caller: Option<Caller>,
    /// True if there is a way to log in.
    pub can_log_in: bool,
    /// True if even the ledger's name and health are to be kept from it.
    pub is_stranger: bool,
    /// Address of the link of the navigation that the page belongs to; `None` for an error.
    pub section: Option<&'static str>,
    /// The table that the navigation is made from.
    pub table: Arc<Table>,
}

impl Visitor {
    /// The reader of the page that a request asks for.
    pub fn of(app: &App, caller: Option<Caller>) -> Self {
        let (can_log_in, section) = (app.access.takes_tokens(), app.section);
        Self { can_log_in, section, caller, ..Self::of_error(app) }
    }

    /// The reader of an error.
    pub fn of_error(app: &App) -> Self {
        let table = Arc::clone(&app.table);
        Self { caller: None, can_log_in: false, is_stranger: false, section: None, table }
    }

    /// A reader who was not admitted.
    pub fn stranger(app: &App) -> Self {
        Self { is_stranger: true, ..Self::of_error(app) }
    }
}

/// Seconds after which a live page without script asks again.
const REFRESH_SECONDS: u32 = 5;

/// A whole page.
pub fn page(service: &Service, visitor: &Visitor, content: &Content) -> String {
    let ledger = service.queries.ledger();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title {
                    (json::visible(&content.title)) " · "
                    @if !visitor.is_stranger { (ledger.name()) " · " }
                    "Ledgerline"
                }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                @if content.is_live { noscript { meta http-equiv="refresh" content=(REFRESH_SECONDS); } }
                @if !visitor.is_stranger { script src="/live.js" defer {} }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header {
                    p.brand {
                        a href="/" { "Ledgerline" }
                        @if !visitor.is_stranger { " " span { (text(ledger.name())) } }
                    }
                    @if !visitor.is_stranger { (health(service)) }
                    (who(visitor))
                    nav aria-label="Pages of this ledger" { (navigation(visitor)) }
                }
                main #main {
                    h1 { (text(&content.title)) }
                    (content.body)
                }
                (foot())
            }
        }
    };
    page.into_string()
}

/// Health of the service and of the fleet, one line each: a service can be healthy while assets are
/// not, and the other way round. The script keeps both up to date on every page, and takes them back
/// when the service no longer answers; without script they say when they held.
fn health(service: &Service) -> Markup {
    let obstacles = service.obstacles();
    let fleet = service.queries.fleet();
    let now = time_text(service.clock.now_ms());
    html! {
        div.health role="status" {
            p #service .good[obstacles.is_empty()] .bad[!obstacles.is_empty()] {
                (text(&service_health(&obstacles)))
            }
            p #fleet class=[worst(&fleet)] { a href="/alerts" { (fleet_health(&fleet)) } }
            noscript { p { "at " (now.get(11..19).unwrap_or(&now)) " UTC" } }
        }
    }
}

fn service_health(obstacles: &[String]) -> String {
    match obstacles {
        [] => "Service healthy".to_owned(),
        obstacles => format!("Service not ready: {}", obstacles.join("; ")),
    }
}

/// Assets with alerts by severity, in words. The script says the same.
fn fleet_health(fleet: &FleetView) -> String {
    let counts = [
        (fleet.critical, "critical"),
        (fleet.warning, "warning"),
        (fleet.info, "info"),
        (fleet.unknown, "unknown"),
    ];
    let mut said = String::new();
    for (assets, severity) in counts.into_iter().filter(|(assets, _)| *assets > 0) {
        let assets = match (said.as_str(), assets) {
            ("", 1) => "1 asset".to_owned(),
            ("", assets) => format!("{} assets", grouped(assets)),
            (_, assets) => format!(", {}", grouped(assets)),
        };
        said.push_str(&format!("{assets} {severity}"));
    }
    if said.is_empty() { "No active alerts".to_owned() } else { said }
}

fn worst(fleet: &FleetView) -> Option<&'static str> {
    match fleet {
        FleetView { critical: 1.., .. } => Some("critical"),
        FleetView { warning: 1.., .. } => Some("warning"),
        _ => None,
    }
}

/// The caller, with the way to log in or out.
fn who(visitor: &Visitor) -> Markup {
    let known = visitor.caller.as_ref().filter(|caller| caller.is_known());
    html! {
        @match known {
            Some(caller) => {
                form.who action="/logout" method="post" {
                    span { (text(caller.name())) " (" (caller.role().name()) ")" }
                    @if caller.how() != How::Certificate { " " button type="submit" { "Log out" } }
                }
            }
            None if visitor.can_log_in => p.who { a href="/login" { "Log in" } },
            None => {}
        }
    }
}

fn navigation(visitor: &Visitor) -> Markup {
    html! {
        ul {
            @for link in visitor.table.links() {
                li {
                    a href=(link.path)
                        aria-current=[(Some(link.path) == visitor.section).then_some("page")] {
                        (link.name)
                    }
                }
            }
        }
    }
}

fn foot() -> Markup {
    html! {
        footer {
            a href="/checkpoint" { "signed checkpoint" } " · "
            a href="/metrics" { "metrics" } " · "
            a href="/api" { "API" } " · "
            "Ledgerline " (env!("CARGO_PKG_VERSION"))
        }
    }
}

/// The page of an error.
pub fn problem(service: &Service, visitor: &Visitor, problem: &Problem) -> String {
    let body = html! {
        p.problem { (text(problem.detail())) }
        p { a href="/" { "Back to the overview" } }
    };
    let title = problem.title().to_owned();
    page(service, visitor, &Content { title, is_live: false, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_is_told_by_severity() {
        for (counts, expected, class) in [
            ([9, 11, 0, 0], "9 assets critical, 11 warning", Some("critical")),
            ([1, 0, 2, 0], "1 asset critical, 2 info", Some("critical")),
            ([0, 1, 0, 0], "1 asset warning", Some("warning")),
            ([0, 1_200, 0, 3], "1,200 assets warning, 3 unknown", Some("warning")),
            ([0, 0, 5, 0], "5 assets info", None),
            ([0, 0, 0, 0], "No active alerts", None),
        ] {
            let [critical, warning, info, unknown] = counts;
            let fleet = FleetView { critical, warning, info, unknown };
            assert_eq!((fleet_health(&fleet).as_str(), worst(&fleet)), (expected, class));
        }
    }
}
