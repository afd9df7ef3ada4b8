//! Parameters of requests: each parameter and path segment, with its meaning, form and an example.
//! Handlers take parameters by these definitions, and the API description is generated from them.

use serde_json::{Value, json};

use crate::contract::InvalidCode;
use crate::event::Cause;
use crate::limits::{DEFAULT_PAGE, MAX_ASSET_KEY_BYTES, MAX_PAGE_ITEMS};

/// One parameter behind the `?` of an address, one name in its path, or one header.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name; of [`Role::Prefix`] the beginning of its names.
    pub name: &'static str,
    /// Its meaning. Empty only for a field of a page's form, which no document describes.
    pub about: &'static str,
    /// A value that can be given.
    pub example: &'static str,
    /// JSON Schema of its values.
    pub schema: fn() -> Value,
    /// Its role.
    pub role: Role,
}

/// The role of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Asks for something.
    Asks,
    /// Names what is asked for: it must be given.
    Required,
    /// Takes the `next` of a page and gives the page behind.
    Cursor,
    /// Stands for all parameters whose names begin so.
    Prefix,
}

/// A field of a page's form.
impl From<&'static str> for Parameter {
    fn from(name: &'static str) -> Self {
        Self { name, about: "", example: "", schema: text, role: Role::Asks }
    }
}

const fn asks(
    name: &'static str,
    about: &'static str,
    (schema, example): (fn() -> Value, &'static str),
) -> Parameter {
    Parameter { name, about, example, schema, role: Role::Asks }
}

const fn cursor(
    name: &'static str,
    about: &'static str,
    (schema, example): (fn() -> Value, &'static str),
) -> Parameter {
    Parameter { name, about, example, schema, role: Role::Cursor }
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn any_text() -> Value {
    json!({"type": "string"})
}

fn index() -> Value {
    json!({"type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn page_size() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE_ITEMS, "default": DEFAULT_PAGE})
}

fn key() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": MAX_ASSET_KEY_BYTES})
}

fn digest() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-f]{64}$"})
}

fn flag() -> Value {
    json!({"type": "boolean", "default": false})
}

fn cause() -> Value {
    json!({"type": "string", "enum": Cause::ALL.map(Cause::name)})
}

fn verdict() -> Value {
    let codes = InvalidCode::ALL.into_iter().map(InvalidCode::name);
    let names: Vec<_> = ["valid", "invalid"].into_iter().chain(codes).collect();
    json!({"type": "string", "enum": names})
}

fn field_values() -> Value {
    json!({
        "type": "object",
        "patternProperties": {"^where\\.": {"type": "string"}},
        "additionalProperties": false
    })
}

fn number() -> Value {
    json!({"type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX})
}

fn topic() -> Value {
    let pattern = "^([a-zA-Z0-9._-]{1,249}(@[1-9][0-9]{0,8})?|~calls)$";
    json!({"type": "string", "pattern": pattern, "not": {"enum": [".", ".."]}})
}

fn pair() -> Value {
    json!({"type": "string", "pattern": "/"})
}

/// Numbers of so many digits are always below 2⁶⁴.
fn two_numbers() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{1,19}/[0-9]{1,19}$"})
}

fn event_place() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{1,19}\\.[0-9]{1,19}$"})
}

fn event_names() -> Value {
    let name = "(block|transaction|alert|dead_letter|status)";
    json!({
        "type": "string",
        "pattern": format!("^{name}( *, *{name})*$"),
        "default": "block,alert,dead_letter"
    })
}

fn proof_form() -> Value {
    json!({"type": "string", "enum": ["json", "tlog-proof"], "default": "json"})
}

fn file_form() -> Value {
    json!({"type": "string", "enum": ["jsonl", "csv"], "default": "jsonl"})
}

// Pages.

/// The number of items on a page.
pub const LIMIT: Parameter = asks(
    "limit",
    "Maximum number of items on a page. A search that reaches its limit returns fewer, and `next`.",
    (page_size, "2"),
);
/// Cursor of a list of blocks.
pub const BEFORE_BLOCK: Parameter =
    cursor("before", "Blocks below this number: the `next` of the previous page.", (index, "12"));
/// Cursor of a list of transactions.
pub const BEFORE_ENTRY: Parameter =
    cursor("before", "Below this entry: the `next` of the previous page.", (index, "20"));
/// Cursor of a list of dead letters.
pub const BEFORE_LETTER: Parameter = cursor(
    "before",
    "Dead letters before this block and place: the `next` of the previous page.",
    (two_numbers, "7/0"),
);
/// Cursor of a list of assets.
pub const AFTER_KEY: Parameter =
    cursor("after", "Assets after this key: the `next` of the previous page.", (text, "C-001"));
/// Cursor of a list of alerts.
pub const AFTER_ALERTED: Parameter = cursor(
    "after",
    "Assets after this contract and key: the `next` of the previous page.",
    (pair, "cold_chain/C-001"),
);
/// Cursor of a list of definitions.
pub const AFTER_ENTRY: Parameter =
    cursor("after", "Recorded after this entry: the `next` of the previous page.", (index, "1"));
/// Cursor of a list of newest changes.
pub const FROM_RECENT: Parameter = cursor(
    "from",
    "From this entry and place, going back: the `next` of the previous page.",
    (two_numbers, "600/0"),
);
/// Cursor of a block's entries.
pub const FROM_ENTRY: Parameter =
    cursor("from", "Entries from this one: the `next` of the previous page.", (index, "3"));
/// Cursor of a history.
pub const FROM_CHANGE: Parameter =
    cursor("from", "From this entry, going back: the `next` of the previous page.", (index, "20"));

// Searches.

/// Transactions of devices of a type.
pub const DEVICE_TYPE: Parameter = asks("device_type", "Type of the device.", (text, "reefer"));
/// Transactions of devices with an id.
pub const DEVICE_ID: Parameter = asks("device_id", "Id of the device.", (text, "C-001"));
/// Transactions of a contract.
pub const CONTRACT: Parameter = asks("contract", "Name of the contract.", (text, "cold_chain"));
/// Transactions with a verdict.
pub const VERDICT: Parameter =
    asks("verdict", "`valid`, `invalid`, or the name of a reason.", (verdict, "valid"));
/// Transactions since a time.
pub const SINCE: Parameter = asks(
    "since",
    "Blocks created at this time or later (RFC 3339; UTC without an offset).",
    (time, "2026-01-31T12:00:00Z"),
);
/// Transactions until a time.
pub const UNTIL: Parameter =
    asks("until", "Blocks created before this time.", (time, "2026-02-28T12:00:00Z"));
/// Dead letters of a cause.
pub const CAUSE: Parameter =
    asks("cause", "Only dead letters with this cause.", (cause, "not_json"));
/// Assets by the beginning of their keys.
pub const PREFIX: Parameter = asks("prefix", "Keys with this prefix.", (text, "C-0"));
/// Assets by the values of their fields.
pub const WHERE: Parameter = Parameter {
    name: "where.",
    about: "`where.FIELD=VALUE`, as often as there are conditions: the field, by its dotted name, has \
            this value. A string is given as it is, everything else as JSON.",
    example: "where.cargo.kind=fish",
    schema: field_values,
    role: Role::Prefix,
};
/// Assets with active alerts.
pub const ALERTS_ONLY: Parameter =
    asks("alerts_only", "Only assets with an active alert.", (flag, "true"));

// One thing.

/// An asset at a block.
pub const AT_BLOCK: Parameter = asks("at_block", "The asset as of this block.", (index, "20"));
/// An asset at a time.
pub const AT_TIME: Parameter = asks(
    "at_time",
    "The asset as of this time. Not together with `at_block`.",
    (time, "2026-01-31T12:00:00Z"),
);
/// Cursor of a walk into the past.
pub const FROM_WALK: Parameter = asks(
    "from",
    "With `at_block` or `at_time`: the entry at which the walk back continues, as given by a refused request.",
    (index, "20"),
);
/// True for a dry run.
pub const DRY_RUN: Parameter =
    asks("dry_run", "Dry run: returns the result and submits nothing.", (flag, "true"));
/// A version of a definition.
pub const DIGEST: Parameter = asks(
    "digest",
    "The version with this SHA-256 of its text; default: the newest.",
    (digest, "0000000000000000000000000000000000000000000000000000000000000000"),
);
/// Form of a proof.
pub const PROOF_FORM: Parameter = asks(
    "format",
    "`json`, or `tlog-proof` for a C2SP tlog-proof file.",
    (proof_form, "tlog-proof"),
);

// Exports.

/// Form of an export.
pub const FILE_FORM: Parameter =
    asks("format", "`jsonl` (one JSON item per line) or `csv`.", (file_form, "csv"));
/// Cursor of an export of a state.
pub const BEHIND_KEY: Parameter =
    asks("after", "Assets after this key: the last one in a truncated export.", (text, "C-001"));
/// Cursor of an export of a history.
pub const BACK_FROM: Parameter = asks(
    "from",
    "From this entry, going back: `replaced` of the last line in a truncated export.",
    (index, "20"),
);

/// True if a client reads trailers.
pub const TRAILERS: Parameter =
    asks("TE", "`trailers` requests the trailers after the file.", (any_text, "trailers"));

// The stream.

/// Kinds of events.
pub const EVENTS: Parameter = asks(
    "events",
    "Kinds of events, separated by commas: block, transaction, alert, dead_letter, status.",
    (event_names, "block,status"),
);
/// The first block of a stream.
pub const FROM_BLOCK: Parameter =
    asks("from", "From this block; default: the next one.", (index, "0"));
/// The last event received by a client of the stream.
pub const LAST_EVENT_ID: Parameter = asks(
    "Last-Event-ID",
    "Id of the last event that was seen: the stream goes on behind it and leaves none out.",
    (event_place, "7.3"),
);

// Names in paths.

/// Number of a block.
pub const NUMBER: Parameter = asks("number", "Number of the block, from 0.", (index, "2"));
/// Topic of a record.
pub const TOPIC: Parameter = asks(
    "topic",
    "Topic of the record, with its epoch where it has one, as ids show it.",
    (topic, "telemetry"),
);
/// Partition of a record.
pub const PARTITION: Parameter = asks("partition", "Partition of the record.", (number, "3"));
/// Offset of a record that gave a transaction.
pub const OFFSET: Parameter = asks("offset", "Offset of the record.", (index, "1"));
/// Offset of a record that gave a dead letter.
pub const LETTER_OFFSET: Parameter = asks("offset", "Offset of the record.", (index, "21"));
/// Output of a record: the number of its transaction.
pub const OUTPUT: Parameter =
    asks("output", "Which of the record's transactions, from 0.", (number, "0"));
/// Name of a contract.
pub const CONTRACT_IN_PATH: Parameter =
    asks("contract", "Name of the contract.", (text, "cold_chain"));
/// Key of an asset.
pub const KEY: Parameter = asks("key", "Key of the asset.", (key, "C-001"));
/// Key of an asset, behind the `?`: there it can be any text, also one that is a path.
pub const KEY_TO_FIND: Parameter = Parameter { role: Role::Required, ..KEY };
/// Name of a mapping.
pub const MAPPING_NAME: Parameter = asks("name", "Name of the mapping.", (text, "reefers"));
/// Name of a contract, among definitions.
pub const CONTRACT_NAME: Parameter = asks("name", "Name of the contract.", (text, "cold_chain"));
