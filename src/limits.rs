//! Every bound of the program, with its reason. A queue, page, body or depth without a name here
//! is a defect.

use std::time::Duration;

/// Largest record value in bytes that is taken in. The platform's own events end at 131,072 bytes;
/// eight times that leaves room for other sources.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// Largest record key in bytes.
pub const MAX_KEY_BYTES: usize = 16 * 1024;
/// Most headers of a record that are looked at; more reject the record.
pub const MAX_HEADERS: usize = 64;
/// Largest header value in bytes.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Longest organisation, device type, device id, event type or format in bytes. The platform's own
/// end at 36; other sources use URIs.
pub const MAX_IDENTITY_BYTES: usize = 512;
/// Original bytes that a dead letter keeps. Of a longer record the digest and this prefix are kept.
pub const MAX_DEAD_LETTER_BYTES: usize = 64 * 1024;
/// Deepest nesting of arrays and objects in a body. `serde_json` itself stops at 128.
pub const MAX_JSON_DEPTH: usize = 64;
/// Longest number in text. Longer ones only serve to make parsing slow.
pub const MAX_NUMBER_BYTES: usize = 64;

/// Most records that one round of a source gathers, over all partitions.
pub const MAX_BATCH_RECORDS: usize = 2_048;
/// A round of a source ends when it has gathered this many bytes; the last record may go over it.
pub const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Longest line of a source file: the largest record with each byte written as `\u00XX`, and as
/// much again for key, headers and names.
pub const MAX_LINE_BYTES: usize = 8 * MAX_RECORD_BYTES;
/// Bytes that are read from a source file at once.
pub const FILE_CHUNK_BYTES: usize = 256 * 1024;
/// Chunks of a source file that are read ahead.
pub const FILE_QUEUE_CHUNKS: usize = 4;

/// How long one request to Kafka about offsets may take before it is asked again later.
pub const KAFKA_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between such requests while the broker does not answer.
pub const KAFKA_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A source's trouble that lasts is told again after this long: often enough to be found near the
/// end of a log, not so often as to fill it.
pub const SAME_TROUBLE_QUIET: Duration = Duration::from_secs(60);

/// Troubles of a source that are remembered as told: a few brokers' worth.
pub const MAX_REMEMBERED_TROUBLES: usize = 16;
/// Most records of one partition that the demonstration's producer has on their way to the ledger.
/// The embedded broker keeps 100,000 batches of a partition and drops the oldest.
pub const MAX_OUTSTANDING_RECORDS: u64 = 5_000;
/// Most bytes of the same; the embedded broker keeps 5 MiB of a partition.
pub const MAX_OUTSTANDING_BYTES: usize = 3 * 1024 * 1024;

/// Most mapping threads: a typing error must not ask for thousands.
pub const MAX_MAPPER_THREADS: usize = 64;

/// Longest YAML file of a mapping or contract, in bytes. It also goes into the ledger.
pub const MAX_DEFINITION_BYTES: usize = 256 * 1024;
/// Most fields of one mapping.
pub const MAX_MAPPING_FIELDS: usize = 256;
/// Most payloads that one record may give (`for_each`, several mappings).
pub const MAX_OUTPUTS_PER_RECORD: usize = 1_000;
/// Most bytes of JSON that the arguments of all payloads of one record take. `for_each` may copy a
/// part of the record into each of them.
pub const MAX_OUTPUT_BYTES_PER_RECORD: usize = 4 * MAX_RECORD_BYTES;
/// Longest JSONPath query in bytes.
pub const MAX_PATH_BYTES: usize = 1_024;
/// Most nodes that one query may select.
pub const MAX_PATH_NODES: usize = 10_000;
/// Most work of all queries on one event: bytes of the locations and texts that it looks at, and a
/// constant for each node. Keeps nested filters and long names from taking seconds or gigabytes.
pub const MAX_PATH_WORK: usize = 32 * 1024 * 1024;
/// Such work that counts as one step of a record: a node.
pub const PATH_WORK_PER_STEP: usize = 32;
/// Most calls of functions within one another in a query. The parser's time grows with the power of
/// this.
pub const MAX_PATH_CALLS: usize = 4;
/// Longest CEL expression in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 4_096;
/// Deepest nesting of a CEL expression.
pub const MAX_EXPRESSION_DEPTH: usize = 32;
/// Most comprehension macros (`all`, `exists`, `filter`, `map`) within one another: the cost grows
/// with the power of this.
pub const MAX_EXPRESSION_LOOPS: usize = 2;
/// Most elements that an expression may walk in one list.
pub const MAX_EXPRESSION_ITEMS: usize = 1_000;
/// Most elements that an expression writes out in one list or map: a loop may copy them.
pub const MAX_EXPRESSION_LITERAL_ITEMS: usize = 100;
/// Most values, nested ones included, of a list or map that an expression reads or builds.
pub const MAX_EXPRESSION_NODES: usize = 5_000;
/// Longest text that an expression may build, in bytes: as long as a whole state.
pub const MAX_EXPRESSION_TEXT_BYTES: usize = MAX_STATE_BYTES;

/// Most steps that the mappings take for one record, and again the contracts that it calls: a step
/// is a value looked at, an operator, or [`TEXT_STEP_BYTES`] of text. The shipped examples take less
/// than a hundredth of it; all of it takes about a quarter of a second, and tens of megabytes.
pub const MAX_RECORD_STEPS: u64 = 5_000_000;
/// Bytes of text that count as one step.
pub const TEXT_STEP_BYTES: usize = 8;
/// Steps that a value costs that is copied or built: it takes memory, not only time.
pub const COPY_STEPS: u64 = 4;
/// Most steps that are spent on describing where a state breaks its schema; beyond it the verdict
/// says only that it does.
pub const MAX_EXPLANATION_STEPS: u64 = 100_000;
/// Most subschemas of a state schema that apply to one and the same value, each counted as often as
/// `$ref`, `allOf`, `anyOf` and the like lead to it.
pub const MAX_SCHEMA_BRANCHES: u64 = 2_000;
/// Most of these within one another.
pub const MAX_SCHEMA_NESTING: usize = 20;
/// Levels of a state times those of its schema: validation goes down the stack by some calls for each.
/// A thread's stack holds them even where nothing is optimised.
pub const MAX_VALIDATION_DEPTH: usize = 12 * MAX_JSON_DEPTH;
/// Largest compiled regular expression in bytes. The time of a match grows with the product of this
/// and the text.
pub const MAX_PATTERN_BYTES: usize = 1024 * 1024;
/// Bytes of a compiled regular expression that cost one step for each [`TEXT_STEP_BYTES`] of text.
pub const PATTERN_STEP_BYTES: usize = 4 * 1024;

/// Longest key of an asset in bytes.
pub const MAX_ASSET_KEY_BYTES: usize = 512;
/// Largest arguments of one transaction in bytes of JSON.
pub const MAX_ARGUMENTS_BYTES: usize = 256 * 1024;
/// Largest state of one asset in bytes of JSON.
pub const MAX_STATE_BYTES: usize = 256 * 1024;
/// Longest name of a contract, a rule or an alert in bytes: names stand in metrics and addresses.
pub const MAX_NAME_BYTES: usize = 64;
/// Most rules of one contract.
pub const MAX_CONTRACT_RULES: usize = 128;
/// Longest text that goes with an invalid verdict or a dead letter's cause, in bytes.
pub const MAX_DETAIL_BYTES: usize = 512;

/// Most bytes of one leaf: C2SP entry bundles have 16-bit lengths. Longer content goes in by hash.
pub const MAX_LEAF_BYTES: usize = 65_535;
/// Leaves of a full tile (C2SP tlog-tiles, height 8).
pub const TILE_WIDTH: u64 = 256;
/// Most transactions of one submission.
pub const MAX_SUBMISSION_TRANSACTIONS: usize = 1_000;
/// Most bytes of one block's frame: a submission of states at their limit, its arguments and as many
/// dead letters still fit.
pub const MAX_BLOCK_BYTES: usize = 512 * 1024 * 1024;
/// A segment of the block log is closed when it has grown past this.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Assets that the executor keeps parsed. Above this it forgets those that the projections have.
pub const MAX_PENDING_ASSETS: usize = 100_000;
/// Blocks that may wait for the log's writer. Full: the executor waits.
pub const MAX_QUEUED_BLOCKS: usize = 16;
/// Blocks that one group commit takes together.
pub const MAX_GROUP_BLOCKS: usize = 16;

/// Batches that may wait in front of each mapping thread, and behind it. Full: the stage in front
/// waits, down to pausing the Kafka partitions.
pub const MAX_QUEUED_BATCHES: usize = 8;
/// Bytes of dead letters that make a block due.
pub const MAX_BLOCK_DEAD_LETTER_BYTES: usize = 8 * 1024 * 1024;
/// Copies of dead letters that may wait for the cluster. More wait in the ledger.
pub const MAX_UNSENT_RECORDS: u32 = 10_000;
/// Kilobytes of the same.
pub const MAX_UNSENT_KBYTES: u32 = 64 * 1024;
/// How long after a stop is asked for the program may take to drain, in seconds.
pub const MAX_SHUTDOWN_SECONDS: u64 = 30;
/// Free bytes of the disk below which the state is not saved: the store cannot be used on after a
/// write that found no space. The log goes on until the disk is full.
pub const MIN_STATE_SPACE_BYTES: u64 = 16 * 1024 * 1024;
/// Memory in bytes that the state store may use for its pages.
pub const STATE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Memory in bytes for assets: with more of them, those that the state store holds are read from it.
pub const MAX_RESIDENT_BYTES: usize = 768 * 1024 * 1024;
/// Of these, bytes of changed assets that make a savepoint due before its time, and then are not
/// exceeded by many.
pub const MAX_UNSAVED_BYTES: usize = MAX_RESIDENT_BYTES / 8 * 7;
/// What an asset in memory takes besides the copies of its key and its value, in bytes.
pub const RESIDENT_ASSET_BYTES: usize = 256;
/// Changed assets that go to the state store at a time: meanwhile no reader is let in, and the pages
/// that they replace stay in memory.
pub const STATE_BATCH_ASSETS: usize = 256;
/// Assets whose keys are remembered, so that a new one is told from them without a look into the
/// state store: some 20 bytes each. With more of them the store is asked.
pub const MAX_KNOWN_ASSETS: usize = 2_000_000;
/// Entries since the newest savepoint that make one due before its time: a start after a crash takes
/// them in again, and those that came while that savepoint was written, in some ten seconds.
pub const MAX_UNSAVED_ENTRIES: u64 = 4_000_000;
/// Blocks that a follower takes in before it looks whether a savepoint is due.
pub const MAX_GATHERED_BLOCKS: u64 = 256;
/// Most items of one page of an answer.
pub const MAX_PAGE_ITEMS: usize = 500;
/// Assets that one listing looks at before it gives a page and where to go on.
pub const MAX_SCANNED_ASSETS: usize = 20_000;
/// Assets not saved yet that a listing copies at a time: meanwhile no block is taken in.
pub const UNSAVED_STEP: usize = 64;
/// Blocks that one search through the log looks at before it gives a page and where to go on.
pub const MAX_SCANNED_BLOCKS: u64 = 500;
/// Entries after which such a search looks at no further block. A page that is polled must not take
/// a processor from ingestion.
pub const MAX_SCANNED_ENTRIES: usize = 20_000;
/// Bytes of JSON after which a page takes no further step: states and histories may be large.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Items that are looked for in one step of a page; what they were found in is let go after it.
pub const PAGE_STEP: usize = 25;
/// Items of a page where the caller does not say how many.
pub const DEFAULT_PAGE: usize = 20;
/// Connections that the endpoint holds at a time; more wait in the system's queue.
pub const MAX_CONNECTIONS: usize = 1_100;
/// Requests that the endpoint works on at a time; more are answered with 503.
pub const MAX_REQUESTS: usize = 16;
/// How long a question waits for one of these places, or for its share of the processors.
pub const PLACE_WAIT: Duration = Duration::from_secs(5);
/// Share of each processor that readers may take while records wait, in thousandths.
pub const READ_SHARE_PER_MILLE: u32 = 40;
/// Processor time that readers may take at once.
pub const READ_SHARE_BURST: Duration = Duration::from_millis(50);
/// Bytes of a request's body: a record to be tried, written as JSON or as a form.
pub const MAX_BODY_BYTES: usize = 4 * MAX_RECORD_BYTES;
/// Most values in a request's body of JSON: those of a call's arguments are as many at most. A record
/// to be tried is one text.
pub const MAX_BODY_VALUES: usize = MAX_ARGUMENTS_BYTES / 2 + 100;
/// Requests of the endpoint whose bodies are read at a time.
pub const MAX_BODIES: usize = 8;
/// Fields of a state that a form for a call by hand has.
pub const MAX_INPUTS: usize = 256;
/// Fields of a schema that are looked at for them: a recursive one has no end of objects.
pub const MAX_SCANNED_INPUTS: usize = 10_000;
/// Values of a sample call.
pub const MAX_SAMPLE_VALUES: usize = 1_000;
/// Names that lead to such a field.
pub const MAX_INPUT_DEPTH: usize = 6;
/// Most bytes of a request's line and headers.
pub const MAX_REQUEST_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a request.
pub const MAX_REQUEST_HEADERS: usize = 64;
/// How long a client may take to send a request's head.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take to be found.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept; a client that reads slowly is cut off then.
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(120);
/// Longest name of a caller in bytes: subjects of identity providers end at 255 (OpenID Connect
/// Core, section 2), and a ledger keeps them for good.
pub const MAX_CALLER_NAME_BYTES: usize = 255;
/// Most bytes of a file of tokens, certificates or keys.
pub const MAX_ACCESS_FILE_BYTES: u64 = 256 * 1024;
/// Most tokens of a file: all are compared at each request.
pub const MAX_TOKENS: usize = 1_000;
/// Longest token that is looked at, in bytes. Signed ones with many groups have some thousands.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Browsers that are logged in at a time.
pub const MAX_SESSIONS: usize = 1_024;
/// How long a login lasts: a day's work.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Clients that are counted at a time.
pub const MAX_LIMITED_CLIENTS: usize = 4_096;
/// Connections that one client holds at a time, so that a stranger cannot take all of them.
pub const MAX_CLIENT_CONNECTIONS: usize = MAX_CONNECTIONS / 2;
/// Time in which a client gets one more request: 200 a second. A live page asks once a second.
pub const REQUEST_EVERY: Duration = Duration::from_millis(5);
/// Requests that a client has at once, also a whole office behind one address.
pub const REQUEST_BURST: u32 = 2_000;
/// Time in which a client gets one more token that is not taken.
pub const FAILED_LOGIN_EVERY: Duration = Duration::from_secs(6);
/// Tokens in a row that are not taken before a client is told to wait.
pub const FAILED_LOGIN_BURST: u32 = 20;
/// Keys of an identity provider that are looked at.
pub const MAX_KEYS: usize = 64;
/// How often files of tokens, certificates and keys are looked at.
pub const ACCESS_FILES_EVERY: Duration = Duration::from_secs(2);
/// How often a key set is asked for again.
pub const KEY_SET_EVERY: Duration = Duration::from_secs(600);
/// The least time between two questions for a key set, whatever names strangers give for keys.
pub const KEY_SET_PAUSE: Duration = Duration::from_secs(60);
/// How long one question for a key set may take.
pub const KEY_SET_TIMEOUT: Duration = Duration::from_secs(10);
/// How far the clock of an identity provider may be off.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Changed fields that a page shows of one write.
pub const MAX_SHOWN_CHANGES: usize = 200;
/// Fields of a state in which coordinates are looked for.
pub const MAX_MAPPED_FIELDS: usize = 64;
/// Samples for charts that are kept: ten minutes.
pub const MAX_SAMPLES: usize = 300;
/// Streams of events that are open at a time; more are answered with 503.
pub const MAX_STREAMS: usize = 64;
/// Streams that read a block at the same time: a part of [`MAX_REQUESTS`].
pub const MAX_STREAM_READS: usize = 4;
/// Events of a stream that wait for a slow reader. Full: the stream reads no further block.
pub const MAX_QUEUED_STREAM_EVENTS: usize = 32;
/// How long a stream is kept; its reader then comes back and goes on where it was.
pub const STREAM_LIFETIME: Duration = Duration::from_secs(100);
/// Exports that are sent at a time; more are answered with 503.
pub const MAX_EXPORTS: usize = 4;
/// Exports that read the state at the same time: however many are sent, they leave the other
/// processors to ingestion.
pub const MAX_EXPORT_READS: usize = 1;
/// Bytes of an export that are made at a time; the next ones wait until its reader has taken them.
pub const EXPORT_PIECE_BYTES: usize = 256 * 1024;
/// Pieces of an export that wait for a slow reader.
pub const MAX_QUEUED_EXPORT_PIECES: usize = 2;
/// How long an export may take. It is cut off then, within [`CONNECTION_LIFETIME`], and its reader
/// goes on behind the last line that it has.
pub const EXPORT_LIFETIME: Duration = Duration::from_secs(100);
/// Columns of a spreadsheet for fields that a contract declares; what more it declares goes into the
/// last one.
pub const MAX_EXPORT_COLUMNS: usize = 500;
/// Changes of an asset that time travel walks back over at a time.
pub const MAX_WALKED_CHANGES: usize = 2_000;
/// Changes of assets that are looked at for when the alerts of one page were raised.
pub const MAX_WALKED_ALERT_CHANGES: usize = 400;
/// Noted batches that wait until they are told to a collector of traces; more are left out.
pub const MAX_QUEUED_TRACES: usize = 1_024;
/// Noted batches that a collector is told at a time.
pub const MAX_SENT_TRACES: usize = 64;
/// How long noted batches wait for others, so that they are told together.
pub const TRACES_EVERY: Duration = Duration::from_secs(1);
/// How long a collector of traces may take to answer.
pub const TRACES_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause after a collector did not answer; the first is [`TRACES_EVERY`].
pub const TRACES_PAUSE: Duration = Duration::from_secs(30);
/// How long a stop waits for a collector of traces.
pub const TRACES_STOP: Duration = Duration::from_secs(3);
/// Traces of records that one batch leads to: as many as collectors take by default.
pub const MAX_TRACE_LINKS: usize = 128;
/// Most bytes of a `traceparent`: twice what its present version has.
pub const MAX_TRACEPARENT_BYTES: usize = 110;
/// Most bytes of a `tracestate`, of which W3C Trace Context wants at least so many.
pub const MAX_TRACE_STATE_BYTES: usize = 512;
/// Most bytes of one answer that `top` takes: two pages, so that an endpoint's own bound comes first.
pub const MAX_ANSWER_BYTES: usize = 2 * MAX_PAGE_BYTES;
/// How long `top` waits for the answers of one round.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Rates that `top` remembers: a minute, asked every second.
pub const MAX_SHOWN_RATES: usize = 60;
/// How long a stop waits for requests that are being answered.
pub const ENDPOINT_STOP: Duration = Duration::from_secs(3);

/// Cuts a text at a character border so that it takes at most `max_bytes`.
#[must_use]
pub fn truncated(text: &str, max_bytes: usize) -> &str {
    if text.len() <= max_bytes {
        return text;
    }
    let mut end = max_bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
