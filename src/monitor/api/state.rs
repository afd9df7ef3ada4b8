//! Operations on the state: assets, their history, alerts.

use schemars::JsonSchema;

use crate::limits::MAX_ASSET_KEY_BYTES;
use crate::monitor::api::operation::{About, Asked, Form, Operation, Tag, handled, question};
use crate::monitor::export;
use crate::monitor::http::asking::App;
use crate::monitor::http::parameter;
use crate::monitor::http::request::Parameters;
use crate::query::page::{alert_cursor, change_cursor};
use crate::query::views::{AssetAnswer, AssetView, ChangeView};
use crate::query::{AlertFilter, At, QueryError};
use crate::state::Filter;

/// Takes which assets are meant.
pub fn filter(given: &mut Parameters) -> Result<Filter, QueryError> {
    let alerts_only = given.parsed(parameter::ALERTS_ONLY)?.unwrap_or(false);
    let prefix = given.text(parameter::PREFIX)?.unwrap_or_default();
    let fields = given.with_prefix(parameter::WHERE);
    Ok(Filter { prefix, fields, alerts_only })
}

/// `/api/v1/state/{contract}`.
pub fn assets() -> Operation {
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

/// `/api/v1/state/{contract}/{key}`.
pub fn asset() -> Operation {
    let about = About {
        id: "getAsset",
        tag: Tag::State,
        path: "/api/v1/state/{contract}/{key}",
        names: &[parameter::CONTRACT_IN_PATH, parameter::KEY],
        summary: "An asset as it is now, or as it was.",
        more: "With `at_block` or `at_time` the answer has the other form: the block, and the asset as of \
               that block.",
        example: "",
    };
    question(about, take_moment, |app: &App, (contract, key): (String, String), moment| {
        answer_asset(app, (&contract, &key), moment)
    })
}

fn answer_asset(
    app: &App,
    (contract, key): (&str, &str),
    (at, from): Moment,
) -> Result<AssetAnswer, QueryError> {
    let queries = &app.service.queries;
    Ok(match at {
        None => AssetAnswer::Now(queries.asset(contract, key)?),
        Some(at) => AssetAnswer::Then(queries.asset_at((contract, key), at, from)?),
    })
}

/// Why there are two addresses of the same.
const ANY_KEY: &str = "The same as with the key in the path. Browsers, clients and proxies rewrite \
                       paths: only this path works for the keys `.` and `..`, and for keys with a \
                       slash behind a proxy that decodes `%2F`.";

/// `/api/v1/asset/{contract}`.
pub fn asset_by_key() -> Operation {
    let about = About {
        id: "getAssetByKey",
        tag: Tag::State,
        path: "/api/v1/asset/{contract}",
        names: &[parameter::CONTRACT_IN_PATH],
        summary: "An asset, whatever its key.",
        more: ANY_KEY,
        example: "key=C-001",
    };
    let take = |given: &mut Parameters| {
        let moment = take_moment(given)?;
        Ok((given.required(parameter::KEY_TO_FIND)?, moment))
    };
    question(about, take, |app: &App, contract: String, (key, moment): (String, Moment)| {
        answer_asset(app, (&contract, &key), moment)
    })
}

/// A moment of an asset, and where the walk back to it goes on.
type Moment = (Option<At>, Option<u64>);

fn take_moment(given: &mut Parameters) -> Result<Moment, QueryError> {
    let (at, from) = (given.at()?, given.parsed(parameter::FROM_WALK)?);
    if at.is_none() && from.is_some() {
        let message = "`from` goes with `at_block` or `at_time`; without one, leave it out";
        return Err(QueryError::Malformed(message.to_owned()));
    }
    Ok((at, from))
}

/// `/api/v1/state/{contract}/{key}/history`.
pub fn history() -> Operation {
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

/// `/api/v1/alerts`.
pub fn alerts() -> Operation {
    let about = About {
        id: "listAlerts",
        tag: Tag::State,
        path: "/api/v1/alerts",
        names: &[],
        summary: "Assets with an active alert, in order of contract and key.",
        more: "Each with its alerts: severity, meaning, start.",
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

/// `/api/v1/alerts/history`.
pub fn alert_history() -> Operation {
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
        let filter =
            AlertFilter { contract: given.filled(parameter::CONTRACT)?, key: take_key(given)? };
        Ok((filter, given.parsed(parameter::BEFORE_ENTRY)?, given.limit()?))
    };
    question(about, take, |app: &App, (): (), (filter, before, limit)| {
        app.service.queries.alert_history(&filter, before, limit)
    })
}

/// `/api/v1/asset/{contract}/history`.
pub fn history_by_key() -> Operation {
    let about = About {
        id: "getHistoryByKey",
        tag: Tag::State,
        path: "/api/v1/asset/{contract}/history",
        names: &[parameter::CONTRACT_IN_PATH],
        summary: "The changes of an asset, newest first, whatever its key.",
        more: ANY_KEY,
        example: "key=C-001&limit=2",
    };
    let take = |given: &mut Parameters| {
        let (from, limit) = (given.parsed(parameter::FROM_CHANGE)?, given.limit()?);
        Ok((given.required(parameter::KEY_TO_FIND)?, from, limit))
    };
    question(about, take, |app: &App, contract: String, (key, from, limit)| {
        let key: String = key;
        app.service.queries.history((&contract, &key), from, limit)
    })
}

/// Takes a key of an asset.
fn take_key(given: &mut Parameters) -> Result<Option<String>, QueryError> {
    let key = given.filled(parameter::KEY)?;
    if key.as_ref().is_some_and(|key| key.len() > MAX_ASSET_KEY_BYTES) {
        let message = format!("the parameter `key` is longer than {MAX_ASSET_KEY_BYTES} bytes");
        return Err(QueryError::Malformed(message));
    }
    Ok(key)
}

/// `/api/v1/recent`.
pub fn recent() -> Operation {
    let about = About {
        id: "listRecent",
        tag: Tag::State,
        path: "/api/v1/recent",
        names: &[],
        summary: "The newest change of each asset, newest first.",
        more: "Changes not yet applied to the state may appear again on a later page.",
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

/// `/api/v1/export/state/{contract}`.
pub fn export_state() -> Operation {
    let about = About {
        id: "exportState",
        tag: Tag::State,
        path: "/api/v1/export/state/{contract}",
        names: &[parameter::CONTRACT_IN_PATH],
        summary: "The assets of a contract as one file: JSON lines or CSV.",
        more: "In order of keys, each asset once. The state changes while it is read: the headers \
               `Ledgerline-Height` and `Ledgerline-Entries` say how many blocks and entries it held at \
               the beginning, the trailer `Ledgerline-Height-At-End` (for clients that send `TE: trailers`) how \
               many at the end. A line whose `version` is below that number of entries is the asset exactly as \
               the first height left it; every other one shows a moment in between, and `getAsset` with `at_block` \
               returns the asset as of the first height.\n\n\
               An export that takes longer than 100 seconds is cut off: the connection ends without \
               the end of the body, which clients report. To resume, pass the key of the last whole line \
               as `after`.\n\n\
               CSV has a column for every field that the contract's newest version declares or derives, \
               by its dotted name, and `other` for the rest, as JSON. A string that a spreadsheet would \
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

/// `/api/v1/export/history/{contract}/{key}`.
pub fn export_history() -> Operation {
    let about = About {
        id: "exportHistory",
        tag: Tag::State,
        path: "/api/v1/export/history/{contract}/{key}",
        names: &[parameter::CONTRACT_IN_PATH, parameter::KEY],
        summary: "The changes of an asset as one file, newest first: JSON lines or CSV.",
        more: "Time limit and formats are those of `exportState`. To resume a truncated export, pass `replaced` of the \
               last whole line as `from`.",
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

/// `/api/v1/export/history/{contract}`.
pub fn export_history_by_key() -> Operation {
    let about = About {
        id: "exportHistoryByKey",
        tag: Tag::State,
        path: "/api/v1/export/history/{contract}",
        names: &[parameter::CONTRACT_IN_PATH],
        summary: "The changes of an asset as one file, newest first, whatever its key.",
        more: ANY_KEY,
        example: "key=C-001&format=csv",
    };
    let take = |given: &mut Parameters| {
        let form = given.parsed(parameter::FILE_FORM)?.unwrap_or_default();
        let back = export::Back { from: given.parsed(parameter::BACK_FROM)?, form };
        Ok((given.required(parameter::KEY_TO_FIND)?, back))
    };
    let handle = |request: Asked<String, (String, export::Back)>| {
        let (key, back) = request.asked;
        export::history(request.app, (request.names, key), back)
    };
    handled(about, take, files::<ChangeView>(), handle).reads(&[parameter::TRAILERS])
}

/// The forms of a file; the schema of JSON lines is that of one line.
fn files<T: JsonSchema>() -> Vec<Form> {
    let lines = Form { kind: "application/jsonl", ..Form::json::<T>() };
    vec![Form::text("text/csv"), lines]
}
