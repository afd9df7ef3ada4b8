//! Files that a demo creates in its folder: configuration and token.

use std::path::Path;

use crate::clock::{Clock as _, SystemClock};
use crate::demo::{Brokers, DemoError, Scene, Setting, Stage, demo_error};
use crate::ledger::{LedgerReader as _, embedded};
use crate::monitor::access::{Role, tokens};

/// Each demonstration has a token of its own, in a file of its own.
pub fn new_token(path: &Path) -> Result<String, DemoError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(demo_error(error));
        }
        _ => {}
    }
    let now_ms = SystemClock::new().now_ms();
    tokens::add(path, ("demo-operator", Role::Operator), now_ms, None).map_err(demo_error)
}

/// The configuration of a service in the folder.
pub fn config_text(setting: &Setting, stage: &Stage) -> String {
    let group = match &setting.brokers {
        Brokers::Embedded(_) => "ledgerline-demo",
        Brokers::Named(named) => &named.group,
    };
    let Stage { bootstrap, properties, epoch, .. } = stage;
    // A string in double quotes means the same in JSON and in YAML.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let properties: Vec<_> =
        properties.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    let (brokers, properties) = (quoted(bootstrap), properties.join(", "));
    let listen = setting.listen.map_or_else(|| "null".to_owned(), |address| address.to_string());
    // Made-up data may be seen by whoever reaches it, as in a container whose port is published.
    let is_open = setting.listen.is_some_and(|address| !address.ip().is_loopback());
    let Scene { topics, identity, .. } = setting.scene;
    let epochs: Vec<_> = topics.iter().map(|topic| format!("{topic}: {epoch}")).collect();
    let (topics, epochs) = (topics.join(", "), epochs.join(", "));
    format!(
        "# Written anew by each demonstration in this folder.\n\
         ledger:\n  name: ledgerline.example/demo\n  directory: ledger\n  key: ledger.pem\n\
         source:\n  kafka:\n    brokers: {brokers}\n    group: {group}\n    \
         topics: [{topics}]\n    epochs: {{ {epochs} }}\n    \
         properties: {{ {properties} }}\n  identity: {identity}\n\
         mappings: [mappings]\ncontracts: [contracts]\nmonitor:\n  listen: {listen}\n  \
         behind_proxy: {is_open}\n  access: {{ anonymous: viewer, tokens: tokens.yaml }}\n"
    )
}

/// A ledger that was used before has read these topics to some offset, and the new broker begins at
/// 0 again: that is what stream epochs are for.
pub fn next_epoch(directory: &Path) -> Result<u32, DemoError> {
    let ledger = directory.join("ledger");
    if !ledger.join("log").exists() {
        return Ok(0);
    }
    let reader = embedded::open_read_only(&ledger, &mut |_, _| {})?;
    let newest = reader.progress().into_iter().map(|(partition, _)| partition.epoch + 1).max();
    Ok(newest.unwrap_or(0))
}
