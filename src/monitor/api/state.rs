//! Operations on the state: assets, their history, alerts.

use crate::monitor::api::operation::{About, Operation, Tag, question};
use crate::monitor::asking::App;
use crate::monitor::parameter;
use crate::monitor::query::QueryError;
use crate::monitor::request::{Parameters, alert_cursor};
use crate::monitor::views::AssetAnswer;
use crate::state::Filter;

/// All of them.
pub fn operations() -> Vec<Operation> {
    vec![assets(), asset(), history(), alerts(), recent()]
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

fn recent() -> Operation {
    let about = About {
        id: "listRecent",
        tag: Tag::State,
        path: "/api/v1/recent",
        names: &[],
        summary: "The assets that changed last, each with its newest change.",
        more: "Looks at the newest blocks only.",
        example: "limit=2",
    };
    question(about, Parameters::limit, |app: &App, (): (), limit| app.service.queries.recent(limit))
}
