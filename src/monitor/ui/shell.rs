//! What stands around every page: head, navigation, health, foot.

use maud::{DOCTYPE, Markup, html};

use crate::ledger::LedgerReader;
use crate::monitor::access::{Caller, How};
use crate::monitor::answer::Problem;
use crate::monitor::json;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{count, text};

/// The parts of the site, in the order of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Everything at a glance.
    Overview,
    /// The chain.
    Blocks,
    /// What was asked of contracts.
    Transactions,
    /// What came of it.
    State,
    /// Which assets need someone.
    Alerts,
    /// Which records could not be used.
    DeadLetters,
    /// Mappings and contracts.
    Definitions,
    /// What would become of a record.
    Try,
    /// Calls by hand.
    Operations,
}

impl Section {
    const ALL: [Self; 9] = [
        Self::Overview,
        Self::Blocks,
        Self::Transactions,
        Self::State,
        Self::Alerts,
        Self::DeadLetters,
        Self::Definitions,
        Self::Try,
        Self::Operations,
    ];

    fn address(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Blocks => "/blocks",
            Self::Transactions => "/transactions",
            Self::State => "/state",
            Self::Alerts => "/alerts",
            Self::DeadLetters => "/deadletters",
            Self::Definitions => "/definitions",
            Self::Try => "/try",
            Self::Operations => "/operations",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Blocks => "Blocks",
            Self::Transactions => "Transactions",
            Self::State => "State",
            Self::Alerts => "Alerts",
            Self::DeadLetters => "Dead letters",
            Self::Definitions => "Mappings & contracts",
            Self::Try => "Try an event",
            Self::Operations => "Operations",
        }
    }
}

/// What one page adds.
pub struct Content {
    /// Its heading.
    pub title: String,
    /// Where it stands in the navigation; `None` for an error.
    pub section: Option<Section>,
    /// Whether it changes with the ledger: it follows the stream, or refreshes itself without script.
    pub is_live: bool,
    /// All below the heading.
    pub body: Markup,
}

/// Who looks at a page.
#[derive(Debug, Default)]
pub struct Visitor {
    /// Who it is, where it passed a door that asks.
    pub caller: Option<Caller>,
    /// Whether there is a way to log in.
    pub can_log_in: bool,
    /// Whether it may not even see what the ledger is named and how it is.
    pub is_stranger: bool,
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
                @if content.is_live {
                    noscript { meta http-equiv="refresh" content=(REFRESH_SECONDS); }
                    script src="/live.js" defer {}
                }
            }
            body {
                a.skip href="#main" { "To the content" }
                header {
                    p.brand {
                        a href="/" { "Ledgerline" }
                        @if !visitor.is_stranger { " " span { (text(ledger.name())) } }
                    }
                    @if !visitor.is_stranger { (health(service, content.is_live)) }
                    (who(visitor))
                    nav aria-label="Pages of this ledger" { (navigation(content.section)) }
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

fn health(service: &Service, is_live: bool) -> Markup {
    let obstacles = service.obstacles();
    let height = service.queries.ledger().head().height;
    html! {
        p #health .good[obstacles.is_empty()] .bad[!obstacles.is_empty()] role="status" data-live {
            @if obstacles.is_empty() {
                span aria-hidden="true" { "●" } " taking in records, " (count(height)) " blocks"
            } @else {
                span aria-hidden="true" { "▲" } " not ready: " (text(&obstacles.join("; ")))
            }
            @if is_live { span #live hidden { " · no connection" } }
        }
    }
}

/// Who looks at the page, and where that can be changed.
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

fn navigation(section: Option<Section>) -> Markup {
    html! {
        ul {
            @for each in Section::ALL {
                li {
                    a href=(each.address()) aria-current=[(Some(each) == section).then_some("page")] {
                        (each.name())
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

/// A page that says why there is no other.
pub fn problem(service: &Service, visitor: &Visitor, problem: &Problem) -> String {
    let body = html! {
        p.problem { (text(problem.detail())) }
        p { a href="/" { "Back to the overview" } }
    };
    let title = problem.title().to_owned();
    page(service, visitor, &Content { title, section: None, is_live: false, body })
}
