//! Operations on the state: assets, their history, alerts.

use schemars::JsonSchema;

use crate::monitor::api::operation::{About, Asked, Form, Operation, Tag, handled, question};
use crate::monitor::asking::App;
use crate::monitor::query::{AlertFilter, QueryError};
use crate::monitor::request::{Parameters, alert_cursor, change_cursor};
use crate::monitor::views::{AssetAnswer, AssetView, ChangeView};
use crate::monitor::{export, parameter};
use crate::state::Filter;

/// All of them.
pub fn operations() -> Vec<Operation> {
    vec![
        assets(),
        asset(),
        history(),
        alerts(),
        alert_history(),
        recent(),
        export_state(),
        export_history(),
    ]
}

/// Takes which assets are meant.
pub fn filter(given: &mut Parameters) -> Result<Filter, QueryError> {
    let alerts_only = given.parsed(parameter::ALERTS_ONLY)?.unwrap_or(false);
    let prefix = given.text(parameter::PREFIX)?.unwrap_or_default();
    let fields = given.with_prefix(parameter::WHERE);
    Ok(Filter { prefix, fields, alerts_only })
}

fn assets() -> Operation {
    let about = About {
        id: "listAssets",
        tag: Tag::State,
        path: "/api/v1/state/{contract}",
        names: &[parameter::CONTRACT_IN_PATH],
        summary: "The assets of a contract, in order of keys.",
        more: "",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| {
        let filter = filter(given)?;
        Ok((filter, given.text(parameter::AFTER_KEY)?, given.limit()?))
    };
    question(about, take, |app: &App, contract: String, (filter, after, limit)| {
        let after: Option<String> = after;
        app.service.queries.assets(&contract, after.as_deref(), &filter, limit)
    })
}

fn asset() -> Operation {
    let about = About {
        id: "getAsset",
        tag: Tag::State,
        path: "/api/v1/state/{contract}/{key}",
        names: &[parameter::CONTRACT_IN_PATH, parameter::KEY],
        summary: "An asset as it is now, or as it was.",
        more: "With `at_block` or `at_time` the answer is of the other form: the block, and the asset as \
               that block left it.",
        example: "",
    };
    let take = |given: &mut Parameters| Ok((given.at()?, given.parsed(parameter::FROM_WALK)?));
    question(about, take, |app: &App, (contract, key): (String, String), (at, from)| {
        let queries = &app.service.queries;
        Ok(match at {
            None => AssetAnswer::Now(queries.asset(&contract, &key)?),
            Some(at) => AssetAnswer::Then(queries.asset_at((&contract, &key), at, from)?),
        })
    })
}

fn history() -> Operation {
    let about = About {
        id: "getHistory",
        tag: Tag::State,
        path: "/api/v1/state/{contract}/{key}/history",
        names: &[parameter::CONTRACT_IN_PATH, parameter::KEY],
        summary: "The changes of an asset, newest first; also of a deleted one.",
        more: "",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| Ok((given.parsed(parameter::FROM_CHANGE)?, given.limit()?));
    question(about, take, |app: &App, (contract, key): (String, String), (from, limit)| {
        app.service.queries.history((&contract, &key), from, limit)
    })
}

fn alerts() -> Operation {
    let about = About {
        id: "listAlerts",
        tag: Tag::State,
        path: "/api/v1/alerts",
        names: &[],
        summary: "Assets with an active alert, in order of contract and key.",
        more: "Each with its alerts: how bad, what they mean, since when.",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| {
        let after = given.text(parameter::AFTER_ALERTED)?;
        let limit = given.limit()?;
        Ok((after.as_deref().map(alert_cursor).transpose()?, limit))
    };
    question(about, take, |app: &App, (): (), (after, limit)| {
        app.service.queries.alerts(after, limit)
    })
}

fn alert_history() -> Operation {
    let about = About {
        id: "listAlertHistory",
        tag: Tag::State,
        path: "/api/v1/alerts/history",
        names: &[],
        summary: "Alerts that were raised and cleared, newest first, and how long each was active.",
        more: "`limit` counts transactions; each may have raised or cleared several.",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| {
        let filter = AlertFilter {
            contract: given.filled(parameter::CONTRACT)?,
            key: given.filled(parameter::KEY)?,
        };
        Ok((filter, given.parsed(parameter::BEFORE_ENTRY)?, given.limit()?))
    };
    question(about, take, |app: &App, (): (), (filter, before, limit)| {
        app.service.queries.alert_history(&filter, before, limit)
    })
}

fn recent() -> Operation {
    let about = About {
        id: "listRecent",
        tag: Tag::State,
        path: "/api/v1/recent",
        names: &[],
        summary: "The newest change of each asset, newest first.",
        more: "What the state has not taken in yet may come again on a later page.",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| {
        let from = given.text(parameter::FROM_RECENT)?;
        let limit = given.limit()?;
        Ok((from.as_deref().map(change_cursor).transpose()?, limit))
    };
    question(about, take, |app: &App, (): (), (from, limit)| {
        app.service.queries.recent(from, limit)
    })
}

fn export_state() -> Operation {
    let about = About {
        id: "exportState",
        tag: Tag::State,
        path: "/api/v1/export/state/{contract}",
        names: &[parameter::CONTRACT_IN_PATH],
        summary: "The assets of a contract as one file: JSON lines or CSV.",
        more: "In order of keys, each asset once. The state moves on while it is read: the headers \
               `Ledgerline-Height` and `Ledgerline-Tree-Size` say how many blocks and entries it held at \
               the beginning, the trailer `Ledgerline-Height-At-End` (for who sends `TE: trailers`) how \
               many at the end. A line whose `version` is below that tree size is the asset exactly as \
               the first height left it; every other is as it was at some moment in between, and \
               `getAsset` with `at_block` gives it as it was at the first.\n\n\
               An export that takes longer than 100 seconds is cut off: the connection ends without \
               the end of the body, which clients report. Go on with `after` and the key of the last \
               whole line.\n\n\
               CSV has a column for every field that the contract's newest version declares or derives, \
               by its dotted name, and `other` for the rest, as JSON. A text that a spreadsheet would \
               take for a formula has a `'` in front, as has one that begins with a `'`.",
        example: "format=csv&prefix=C-00",
    };
    let take = |given: &mut Parameters| {
        let form = given.parsed(parameter::FILE_FORM)?.unwrap_or_default();
        let (filter, after) = (filter(given)?, given.text(parameter::BEHIND_KEY)?);
        Ok(export::Wanted { filter, after, form })
    };
    let handle = |request: Asked<String, export::Wanted>| {
        export::state(request.app, request.names, request.asked)
    };
    handled(about, take, files::<AssetView>(), handle).reads(&[parameter::TRAILERS])
}

fn export_history() -> Operation {
    let about = About {
        id: "exportHistory",
        tag: Tag::State,
        path: "/api/v1/export/history/{contract}/{key}",
        names: &[parameter::CONTRACT_IN_PATH, parameter::KEY],
        summary: "The changes of an asset as one file, newest first: JSON lines or CSV.",
        more: "Bounded in time and in the forms of `exportState`. What was cut off goes on with `from` \
               and what the last whole line says in `replaced`.",
        example: "format=csv",
    };
    let take = |given: &mut Parameters| {
        let form = given.parsed(parameter::FILE_FORM)?.unwrap_or_default();
        Ok(export::Back { from: given.parsed(parameter::BACK_FROM)?, form })
    };
    let handle = |request: Asked<(String, String), export::Back>| {
        export::history(request.app, request.names, request.asked)
    };
    handled(about, take, files::<ChangeView>(), handle).reads(&[parameter::TRAILERS])
}

/// The forms of a file; the schema of JSON lines is that of one line.
fn files<T: JsonSchema>() -> Vec<Form> {
    let lines = Form { kind: "application/jsonl", ..Form::json::<T>() };
    vec![Form::text("text/csv"), lines]
}
