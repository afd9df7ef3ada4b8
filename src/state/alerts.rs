//! The assets with active alerts, and the start of each alert. Small compared with the assets, so
//! it is kept in memory, and pages of alerts need no search.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::codec::{DecodeError, Reader, Writer};
use crate::contract::Alerts;
use crate::state::store::AssetKey;

/// An alert and the event time from which on it is active, in milliseconds since 1970.
pub type Since = (Box<str>, i64);

/// The active alerts of every asset that has any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveAlerts {
    assets: BTreeMap<Arc<str>, BTreeMap<String, Box<[Since]>>>,
    /// Assets by contract and alert.
    counts: BTreeMap<(Arc<str>, Box<str>), u64>,
    /// Assets by contract and all the alerts that they have. An asset counts once here, and there are
    /// few combinations where there are many assets.
    together: BTreeMap<(Arc<str>, AlertNames), u64>,
}

/// Names of the active alerts of an asset, in their order.
pub type AlertNames = Box<[Box<str>]>;

fn names(since: &[Since]) -> AlertNames {
    since.iter().map(|(name, _)| name.clone()).collect()
}

fn count_up<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => _ = counts.remove(key),
    }
}

impl ActiveAlerts {
    /// Takes in what an event of this time wrote of an asset.
    pub fn take_in(&mut self, contract: &Arc<str>, key: &str, value: Option<&[u8]>, time_ms: i64) {
        let alerts = value.and_then(Alerts::of_asset);
        // As they are nearly always: then nothing needs to be looked up.
        if alerts.as_ref().is_some_and(Alerts::are_unchanged) {
            return;
        }
        let names = alerts.map(|alerts| alerts.active).unwrap_or_default();
        let before = self.of(contract, key);
        if names.iter().map(String::as_str).eq(before.iter().map(|(name, _)| &**name)) {
            return;
        }
        let since = |name: String| {
            let known = before.iter().find(|(known, _)| **known == name);
            let since = known.map_or(time_ms, |(_, since)| *since);
            (name.into(), since)
        };
        let since = names.into_iter().map(since).collect();
        self.set(contract, key, since);
    }

    /// Sets an asset's alerts.
    pub fn set(&mut self, contract: &Arc<str>, key: &str, since: Box<[Since]>) {
        for (name, _) in &since {
            count_up(&mut self.counts, (contract.clone(), name.clone()));
        }
        if !since.is_empty() {
            count_up(&mut self.together, (contract.clone(), names(&since)));
        }
        let assets = self.assets.entry(contract.clone()).or_default();
        let before = match since.is_empty() {
            true => assets.remove(key),
            false => assets.insert(key.to_owned(), since),
        };
        // What was never there and what is there no more are the same.
        if assets.is_empty() {
            self.assets.remove(contract);
        }
        let Some(before) = before else { return };
        count_down(&mut self.together, &(contract.clone(), names(&before)));
        for (name, _) in before {
            count_down(&mut self.counts, &(contract.clone(), name));
        }
    }

    /// An asset's alerts in the order of their names; none where it has none.
    #[must_use]
    pub fn of(&self, contract: &str, key: &str) -> &[Since] {
        self.assets.get(contract).and_then(|assets| assets.get(key)).map_or(&[], |since| since)
    }

    /// The first so many assets behind one, in order of contract and key.
    #[must_use]
    pub fn behind(&self, after: Option<&AssetKey>, count: usize) -> Vec<AssetKey> {
        let (first, key) = match after {
            Some((contract, key)) => (Bound::Included(contract.clone()), Some((contract, key))),
            None => (Bound::Unbounded, None),
        };
        let contracts = self.assets.range((first, Bound::Unbounded));
        let keys = contracts.flat_map(|(contract, assets)| {
            let from = match key {
                Some((after, key)) if after == contract => Bound::Excluded(key.as_str()),
                _ => Bound::Unbounded,
            };
            let keys = assets.range::<str, _>((from, Bound::Unbounded));
            keys.map(|(key, _)| (contract.clone(), key.clone()))
        });
        keys.take(count).collect()
    }

    /// Number of assets with an active alert.
    #[must_use]
    pub fn assets(&self) -> usize {
        self.assets.values().map(BTreeMap::len).sum()
    }

    /// Assets by contract and alert, in that order.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<(Arc<str>, Box<str>), u64> {
        &self.counts
    }

    /// Assets by contract and the alerts that they have together, in that order.
    #[must_use]
    pub fn together(&self) -> &BTreeMap<(Arc<str>, AlertNames), u64> {
        &self.together
    }

    /// True if an asset has these alerts, whenever they began.
    #[must_use]
    pub fn agrees(&self, contract: &str, key: &str, value: Option<&[u8]>) -> bool {
        let known = self.of(contract, key).iter().map(|(name, _)| &**name);
        known.eq(active(value).iter().map(String::as_str))
    }
}

/// The active alerts in an asset's canonical bytes.
fn active(value: Option<&[u8]>) -> Vec<String> {
    value.and_then(Alerts::of_asset).map(|alerts| alerts.active).unwrap_or_default()
}

/// True if an asset has an active alert, by its canonical bytes.
#[must_use]
pub fn any(value: Option<&[u8]>) -> bool {
    !active(value).is_empty()
}

/// An asset's alerts as they are stored.
#[must_use]
pub fn encode(since: &[Since]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.uint(since.len() as u64);
    for (name, time_ms) in since {
        writer.text(name);
        writer.int(*time_ms);
    }
    writer.into_bytes()
}

/// And back.
pub fn decode(bytes: &[u8]) -> Result<Box<[Since]>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = reader.uint("alerts")?;
    let alert = |_| Ok((reader.text("alert")?.into(), reader.int("alert's time")?));
    let since = (0..count).map(alert).collect::<Result<_, DecodeError>>()?;
    reader.finish()?;
    Ok(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::{Map, json};
    use crate::contract::{Alerts, Asset};

    /// An asset with alerts, after a call that found it with others.
    fn asset(before: &[&str], active: &[&str]) -> Vec<u8> {
        let behind = |names: &[&str], others: &[&str]| {
            let names = names.iter().filter(|name| !others.contains(name));
            names.map(|name| (*name).to_owned()).collect()
        };
        let (raised, cleared) = (behind(active, before), behind(before, active));
        let alerts = Alerts { active: behind(active, &[]), raised, cleared };
        let state = json!({"assetID": "a", "active": ["X"]});
        let state = state.as_object().unwrap().clone();
        Asset::new(state, Map::new(), alerts).to_bytes()
    }

    fn since(alerts: &ActiveAlerts, contract: &str, key: &str) -> Vec<(String, i64)> {
        let of = alerts.of(contract, key).iter();
        of.map(|(name, since)| (name.to_string(), *since)).collect()
    }

    #[test]
    fn an_alert_keeps_its_time_until_it_is_cleared() {
        let (mut alerts, contract) = (ActiveAlerts::default(), Arc::from("c"));
        type Step<'a> = (i64, Option<&'a [&'a str]>, &'a [(&'a str, i64)]);
        let steps: [Step<'_>; 9] = [
            (1, Some(&[]), &[]),
            (2, Some(&["HOT"]), &[("HOT", 2)]),
            (3, Some(&["DOOR", "HOT"]), &[("DOOR", 3), ("HOT", 2)]),
            (4, Some(&["DOOR"]), &[("DOOR", 3)]),
            (5, Some(&["DOOR", "HOT"]), &[("DOOR", 3), ("HOT", 5)]),
            (6, Some(&["DOOR", "HOT"]), &[("DOOR", 3), ("HOT", 5)]),
            (7, None, &[]),
            (8, Some(&["HOT"]), &[("HOT", 8)]),
            (9, Some(&[]), &[]),
        ];
        let mut before: &[&str] = &[];
        for (time, active, expected) in steps {
            let value = active.map(|active| asset(before, active));
            before = active.unwrap_or_default();
            alerts.take_in(&contract, "a", value.as_deref(), time);
            let expected: Vec<_> =
                expected.iter().map(|(name, since)| ((*name).to_owned(), *since)).collect();
            assert_eq!(since(&alerts, "c", "a"), expected, "at {time}");
            assert_eq!(decode(&encode(alerts.of("c", "a"))).unwrap().as_ref(), alerts.of("c", "a"));
            assert_eq!(any(value.as_deref()), !expected.is_empty());
            assert!(alerts.agrees("c", "a", value.as_deref()));
            assert!(!alerts.agrees("c", "a", Some(&asset(&[], &["OTHER"]))));
            let counted: u64 = alerts.counts().values().sum();
            assert_eq!(counted, expected.len() as u64);
            let together: Vec<_> =
                alerts.together().iter().map(|((_, names), count)| (names.len(), *count)).collect();
            let expected = (!expected.is_empty()).then_some((expected.len(), 1));
            assert_eq!(together, Vec::from_iter(expected), "at {time}");
        }
        assert_eq!(alerts.counts(), &BTreeMap::new());
        assert_eq!(alerts.assets(), 0);
    }

    #[test]
    fn pages_go_on_behind_any_asset() {
        let mut alerts = ActiveAlerts::default();
        let all = [("a", "1"), ("a", "2"), ("b", "0"), ("b", "9"), ("d", "5")];
        for (contract, key) in all {
            alerts.take_in(&Arc::from(contract), key, Some(&asset(&[], &["HOT"])), 0);
        }
        alerts.take_in(&Arc::from("c"), "5", Some(&asset(&[], &[])), 0);
        let texts = |after: Option<(&str, &str)>, count| {
            let after = after.map(|(contract, key)| (Arc::from(contract), key.to_owned()));
            let keys = alerts.behind(after.as_ref(), count);
            keys.iter()
                .map(|(contract, key)| format!("{contract}{key}"))
                .collect::<Vec<_>>()
                .concat()
        };
        let cases = [
            (None, 9, "a1a2b0b9d5"),
            (None, 2, "a1a2"),
            (Some(("a", "1")), 2, "a2b0"),
            (Some(("a", "2")), 9, "b0b9d5"),
            (Some(("b", "5")), 9, "b9d5"),
            (Some(("c", "")), 9, "d5"),
            (Some(("d", "5")), 9, ""),
            (Some(("z", "")), 9, ""),
        ];
        for (after, count, expected) in cases {
            assert_eq!(texts(after, count), expected, "{after:?}");
        }
        assert_eq!(alerts.assets(), 5);
    }
}
