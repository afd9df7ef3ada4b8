//! The table of routes: everything that the endpoint serves, one line each.
//!
//! To add a route, write a file with a function that returns an [`Operation`] or a [`Route`], and name it
//! here. Everything else follows from the line: the router, the role that a caller must have, the entry in
//! the OpenAPI document, the link in the navigation. `tests/routes.rs` checks all of it for every line.

pub use crate::monitor::api::{About, Operation, Tag, nothing, question};
pub use crate::monitor::http::asking::App;
pub use crate::monitor::http::request::Parameters;
pub use crate::monitor::http::route::{Kind, Methods, Needs, Place, Route, Row, Rule};
pub use crate::monitor::ui::{Content, page};

use axum::routing::{get, post};

use crate::monitor::api::{ledger, service, state, tiles};
use crate::monitor::http::route::Place::{Below, Linked, Outside};
use crate::monitor::ui::{
    self, alerts, blocks, definitions, letters, login, page_of, transactions, trial,
};

/// Every route, in the order of the OpenAPI document and of the navigation.
#[must_use]
pub fn all() -> Vec<Route> {
    let operations = [
        service::status(),
        service::findings(),
        service::samples(),
        service::throughput(),
        service::stream(),
        service::try_record(),
        service::call(),
        service::health(),
        service::readiness(),
        service::metrics(),
        service::openapi(),
        service::checkpoint(),
        service::dead_letters(),
        service::dead_letter(),
        ledger::blocks(),
        ledger::block(),
        ledger::verification(),
        ledger::transactions(),
        ledger::transaction(),
        ledger::proof(),
        ledger::record(),
        ledger::mappings(),
        ledger::mapping(),
        ledger::mapping_tests(),
        ledger::contracts(),
        ledger::contract(),
        ledger::contract_tests(),
        state::assets(),
        state::asset(),
        state::history(),
        state::asset_by_key(),
        state::history_by_key(),
        state::alerts(),
        state::alert_history(),
        state::recent(),
        state::export_state(),
        state::export_history(),
        state::export_history_by_key(),
    ];
    operations.into_iter().map(Route::from).chain(pages()).chain(files()).collect()
}

fn pages() -> Vec<Route> {
    vec![
        Route::page("/", Linked("Overview"), get(ui::overview_page)),
        page("/blocks", Linked("Blocks"), blocks::list),
        page_of("/blocks/{number}", Below("/blocks"), blocks::one),
        page("/transactions", Linked("Transactions"), transactions::list),
        page_of(
            "/transactions/{topic}/{partition}/{offset}/{output}",
            Below("/transactions"),
            transactions::one,
        ),
        page("/state", Linked("State"), ui::state::contracts),
        page_of("/state/{contract}", Below("/state"), ui::state::assets),
        page_of("/state/{contract}/{key}", Below("/state"), ui::state::asset),
        page("/alerts", Linked("Alerts"), alerts::list),
        page("/deadletters", Linked("Dead letters"), letters::list),
        page_of("/deadletters/{topic}/{partition}/{offset}", Below("/deadletters"), letters::one),
        Route::page("/definitions", Linked("Mappings & contracts"), get(ui::definitions_page)),
        page_of("/mappings/{name}", Below("/definitions"), definitions::mapping),
        page_of("/contracts/{name}", Below("/definitions"), definitions::contract),
        page("/try", Linked("Try an event"), trial::form)
            .and_post(Needs::VIEWER, post(ui::trial_sent)),
        Route::page("/operations", Linked("Operations"), get(ui::operations_page)),
        Route::page(
            "/operations/{contract}/{function}",
            Below("/operations"),
            get(ui::operation_form),
        )
        .and_post(Needs::OPERATOR, post(ui::operation_sent)),
        Route::page("/login", Outside, get(login::page))
            .open()
            .and_post(Needs::Nothing, post(login::enter)),
        Route::form("/logout", Needs::Nothing, post(login::leave)),
        Route::page("/api", Outside, get(ui::api_page)),
    ]
}

fn files() -> [Route; 4] {
    [
        // Tiles have no fixed number of parts in their addresses, so OpenAPI cannot describe them.
        Route::file("/tile/{*path}", Needs::VIEWER, get(tiles::tile)),
        Route::file("/style.css", Needs::Nothing, get(ui::style)),
        Route::file("/live.js", Needs::VIEWER, get(ui::script)),
        Route::file("/icon.svg", Needs::Nothing, get(ui::icon)),
    ]
}
