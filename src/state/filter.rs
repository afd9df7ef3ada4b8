//! Filters for listings of assets.

use crate::codec::json::{self, Value};
use crate::contract::Asset;

/// A filter for a listing of assets.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Keys with this prefix.
    pub prefix: String,
    /// Dotted paths into the asset and the text that the value there must have.
    pub fields: Vec<(String, String)>,
    /// Only assets with an active alert.
    pub alerts_only: bool,
}

impl Filter {
    pub(super) fn holds(&self, key: &str, asset: &Asset) -> bool {
        let has_field = |(path, text): &(String, String)| {
            field(asset, path).is_some_and(|value| match value {
                Value::String(found) => found == text,
                other => json::parse(text.as_bytes()).is_ok_and(|value| value == *other),
            })
        };
        key.starts_with(&self.prefix)
            && (!self.alerts_only || !asset.alerts.active.is_empty())
            && self.fields.iter().all(has_field)
    }
}

fn field<'a>(asset: &'a Asset, path: &str) -> Option<&'a Value> {
    let mut steps = path.split('.');
    let first = steps.next()?;
    let root = asset.state.get(first).or_else(|| asset.derived.get(first))?;
    steps.try_fold(root, |value, step| value.get(step))
}
