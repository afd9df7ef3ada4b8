//! Every bound of the program, with its reason. A queue, page, body or depth without a name here
//! is a defect.

use std::time::Duration;

/// Largest record value in bytes that is taken in. The platform's own events end at 131,072 bytes;
/// eight times that leaves room for other sources.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// Largest record value in bytes after decompression: a value may not grow past what it may be as it is.
pub const MAX_DECOMPRESSED_BYTES: usize = MAX_RECORD_BYTES;
/// Largest record key in bytes.
pub const MAX_KEY_BYTES: usize = 16 * 1024;
/// Most headers of a record that are looked at; more reject the record.
pub const MAX_HEADERS: usize = 64;
/// Largest header value in bytes.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Longest organisation, device type, device id, event type or format in bytes. The platform's own
/// end at 36; other sources use URIs.
pub const MAX_IDENTITY_BYTES: usize = 512;
/// Longest text that is read as a time, in bytes: RFC 9557 with the longest zone's name takes 70.
pub const MAX_TIME_BYTES: usize = 96;
/// A number without a unit is not taken as a time before this, 1990 in milliseconds: it is in seconds,
/// or no time at all.
pub const EARLIEST_PLAUSIBLE_TIME_MS: i64 = 631_152_000_000;
/// A number without a unit is not taken as a time after this, 2100 in milliseconds, where the record
/// has no timestamp that says better.
pub const LATEST_PLAUSIBLE_TIME_MS: i64 = 4_102_444_800_000;
/// Maximum time after its record at which a number without a unit is still a plausible time: a
/// year, in milliseconds.
pub const MAX_PLAUSIBLE_AHEAD_MS: i64 = 366 * 24 * 60 * 60 * 1_000;
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
/// Inputs of a configuration: each takes a thread and its own buffers.
pub const MAX_CONFIGURED_INPUTS: usize = 32;
/// Manual calls that wait to be taken: more than one person or script has on the way at once.
pub const MAX_WAITING_CALLS: usize = 64;
/// Partitions that one source file may name: each line may name another one, and each takes memory.
pub const MAX_FILE_PARTITIONS: usize = 10_000;
/// Bytes that are read from a source file at once.
pub const FILE_CHUNK_BYTES: usize = 256 * 1024;
/// Chunks of a source file that are read ahead.
pub const FILE_QUEUE_CHUNKS: usize = 4;

/// Shortest secret in bytes that is looked for anywhere in a message. A shorter one is a part of
/// ordinary words.
pub const MIN_HIDDEN_BYTES: usize = 4;
/// Shortest and longest time in milliseconds between two polls before Kafka takes the partitions
/// away. A full queue is waited for some seconds between two polls; a broker's answer never is.
pub const POLL_INTERVALS_MS: (u64, u64) = (6_000, 3_600_000);
/// Shortest and longest time in milliseconds between two commits of the group's offsets.
pub const COMMIT_INTERVALS_MS: (u64, u64) = (1, 60_000);
/// Shortest and longest time in milliseconds between two statistics of the client: the state of the
/// connection is at most that old.
pub const STATISTICS_INTERVALS_MS: (u64, u64) = (1, 10_000);
/// Timeout of one request to Kafka for offsets, before it is retried.
pub const KAFKA_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the first such request for a partition: an unreachable partition must not hold up
/// reachable ones for long. Each retry may take twice as long, up to [`KAFKA_REQUEST_TIMEOUT`].
pub const KAFKA_FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between such requests while the broker does not answer.
pub const KAFKA_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Polling interval for topics and the group while something is missing.
pub const KAFKA_WATCH_EVERY: Duration = Duration::from_secs(2);
/// Polling interval while every topic is being read.
pub const KAFKA_WATCH_CALM: Duration = Duration::from_secs(10);
/// Grace period for joining the group, counted from the connection, before missing partitions are a
/// finding. With the intervals above, a finding appears within 30 seconds.
pub const KAFKA_START_GRACE: Duration = Duration::from_secs(20);
/// Grace period for a missing topic or missing partitions before the service is no longer ready: a
/// rebalance takes some seconds.
pub const KAFKA_LOST_GRACE: Duration = Duration::from_secs(15);
/// Time without any answer after which a connected broker counts as unreachable.
pub const KAFKA_SILENCE_GRACE: Duration = Duration::from_secs(20);
/// Partitions of other members whose offsets one look asks for, so that it stays short.
pub const MAX_WATCHED_OFFSETS: usize = 32;
/// Other members of the group that a message names.
pub const MAX_NAMED_MEMBERS: usize = 5;
/// Maximum time of an event ahead of this machine's clock. Beyond it, the event counts as one from
/// the future and does not affect freshness.
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(60);

/// Time for which a topic must end before the ledger's position until that is believed: after a
/// restart, a broker's end lags until the replicas have answered.
pub const KAFKA_BEHIND_WAIT: Duration = Duration::from_secs(10);
/// Maximum number of consecutive restarts of a partition from its position after Kafka wrongly
/// reported an offset out of range.
pub const KAFKA_MOST_RESTARTS: u32 = 3;
/// Time after which an earlier restart of a partition no longer counts.
pub const KAFKA_RESTARTS_FORGOTTEN: Duration = Duration::from_secs(60);
/// Retry interval while reading is refused: the client reports each refusal only once.
pub const KAFKA_REFUSED_EVERY: Duration = Duration::from_secs(30);
/// Time without a refusal after which a refusal counts as over.
pub const KAFKA_REFUSED_QUIET: Duration = Duration::from_secs(5);
/// Time for which a partition must have had the same end after its last record until the ledger
/// continues from that end, in a block of its own: a busy partition never has such an end for long.
pub const KAFKA_TAIL_WAIT: Duration = Duration::from_secs(10);
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

/// Threads that the service needs besides its mapping threads: the pipeline's, the endpoint's, the
/// Kafka client's and the state store's, and some to spare.
pub const SERVICE_THREADS: usize = 32;
/// Threads that a command needs which reads a ledger, some to spare.
pub const COMMAND_THREADS: usize = 8;
/// Most mapping threads: a typing error must not ask for thousands.
pub const MAX_MAPPER_THREADS: usize = 64;

/// Longest YAML file of a mapping or contract, in bytes. It also goes into the ledger.
pub const MAX_DEFINITION_BYTES: usize = 256 * 1024;
/// Times that a YAML document is read to find all its faults of form. Each reading finds one more.
pub const MAX_FORM_READINGS: usize = 64;
/// Most fields of one mapping.
pub const MAX_MAPPING_FIELDS: usize = 256;
/// Most payloads that one record may give (`for_each`, several mappings).
pub const MAX_OUTPUTS_PER_RECORD: usize = 1_000;
/// Most bytes of JSON that the arguments of all payloads of one record take. `for_each` may copy a
/// part of the record into each of them.
pub const MAX_OUTPUT_BYTES_PER_RECORD: usize = 4 * MAX_RECORD_BYTES;
/// Objects around an element of `for_each` that fields can ask for.
pub const MAX_PARENTS: usize = 8;
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
/// Most memory of a compiled regular expression, of `match`, `search` and `matches`, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256 * 1024;
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

/// Longest proof that `verify-proof` reads, in bytes: a leaf in base64, a path and a signed note.
pub const MAX_PROOF_BYTES: u64 = 256 * 1024;
/// Bytes of a file that are read and hashed at a time.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Blocks whose signatures `verify` checks together: with more, a signature takes hardly less.
pub const MAX_VERIFY_GROUP_BLOCKS: usize = 64;
/// Bytes of blocks after which such a group is closed.
pub const MAX_VERIFY_GROUP_BYTES: usize = 1024 * 1024;
/// Signatures that it checks together: each takes some hundred bytes of memory.
pub const MAX_VERIFY_SIGNATURES: usize = 8 * 1024;
/// Most steps that the expressions of its identity take for one record, again its mappings, and
/// again the contracts that it calls: a step is a value looked at, an operator, or
/// [`TEXT_STEP_BYTES`] of text. Each call pays for a copy of the state it finds and of the one it
/// writes. The shipped examples take less than a hundredth of it; all of it takes from a quarter of a
/// second to two seconds, and tens of megabytes.
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
/// Largest compiled regular expression of a state schema in bytes. The time of a match grows with the
/// product of this and the text.
pub const MAX_SCHEMA_PATTERN_BYTES: usize = 1024 * 1024;
/// Positions of a regular expression (see [`crate::pattern`]) that cost a step for each
/// [`TEXT_STEP_BYTES`] of text: about 10 ns for each byte and position in the worst case.
pub const PATTERN_STEP_POSITIONS: u64 = 2;
/// Least bytes that a position takes in a compiled regular expression.
pub const PATTERN_POSITION_BYTES: usize = 32;
/// Least bound on a compiled regular expression's size that is tried to learn its size.
pub const MIN_PATTERN_BYTES: usize = 1024;

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
/// Most bytes of one block: a submission of states and arguments at their limit still fits.
pub const MAX_BLOCK_BYTES: usize = 512 * 1024 * 1024;
/// A segment of the block log is closed when it has grown past this.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Files of the log that are listed: 64 TiB of full segments.
pub const MAX_LISTED_FILES: usize = 1_000_000;
/// Frames behind the last whole block that may claim to be later; with more nothing is cut off.
pub const MAX_TAIL_FRAMES: usize = 65_536;
/// Bytes of a segment that are read at once where no block is read.
pub const LOG_CHUNK_BYTES: usize = 1024 * 1024;
/// Memory of blocks that are decoded ahead of the one that is taken in. One block may take more.
pub const MAX_AHEAD_BYTES: usize = 512 * 1024 * 1024;
/// Most entries of one block, and runs of filtered records, dead letters, partitions, submissions.
pub const MAX_BLOCK_ITEMS: usize = 4 * 1024 * 1024;
/// Such items of one block, its entries not counted, that make it due: well below what is read.
pub const DUE_BLOCK_ITEMS: usize = MAX_BLOCK_ITEMS / 8;
/// Most memory of one block decoded, in bytes: LZ4 packs what repeats into a 255th. The largest
/// submission, and half of [`MAX_BLOCK_ITEMS`] small dead letters, as were written once, take less.
pub const MAX_BLOCK_MEMORY_BYTES: usize = 768 * 1024 * 1024;
/// Bytes of mappings, contracts and keys that a ledger may hold: each stays in memory.
pub const MAX_DEFINITIONS_BYTES: usize = 1024 * MAX_DEFINITION_BYTES;
/// Longest note to itself that the program reads, in bytes; one takes some 400.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;
/// Largest checkpoint that is read, in bytes. A note with two signatures has some 500.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

/// Assets that the executor keeps parsed. Above this it forgets those that the followers have.
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
/// Time to drain after a stop was requested, in seconds.
pub const MAX_SHUTDOWN_SECONDS: u64 = 30;
/// Free disk bytes below which the state is not saved: a write without space ends its store.
pub const MIN_STATE_SPACE_BYTES: u64 = 16 * 1024 * 1024;
/// Largest state store in bytes that is copied to be compared with the log.
pub const MAX_STATE_COPY_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// Most files of a state store that is copied. One of long values has a file for each.
pub const MAX_STATE_COPY_FILES: usize = 1_000_000;
/// Memory in bytes that the state store may use for its pages.
pub const STATE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Memory in bytes for assets: with more of them, those that the state store holds are read from it.
pub const MAX_RESIDENT_BYTES: usize = 768 * 1024 * 1024;
/// Of these, bytes of changed assets that make a savepoint due before its time, and then are not
/// exceeded by many.
pub const MAX_UNSAVED_BYTES: usize = MAX_RESIDENT_BYTES / 8 * 7;
/// Memory per asset besides the copies of its key and value, in bytes.
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
/// Connections that the endpoint holds at a time; for one more, one that proved least is closed.
pub const MAX_CONNECTIONS: usize = 1_100;
/// Requests that the endpoint works on at a time; more are answered with 503.
pub const MAX_REQUESTS: usize = 16;
/// Time that a query waits for one of these slots, or for its share of the processors.
pub const PLACE_WAIT: Duration = Duration::from_secs(5);
/// Share of each processor that readers may take while records wait, in thousandths.
pub const READ_SHARE_PER_MILLE: u32 = 40;
/// Processor time that readers may take at once.
pub const READ_SHARE_BURST: Duration = Duration::from_millis(50);
/// Requests that are worked on at a time for one client: the rest is for others.
pub const MAX_CLIENT_REQUESTS: usize = MAX_REQUESTS / 2;
/// Of [`MAX_REQUESTS`], places for callers who are known by name.
pub const KEPT_REQUESTS: usize = 4;
/// Bytes of a request's body: a record to be tried, written as JSON or as a form.
pub const MAX_BODY_BYTES: usize = 4 * MAX_RECORD_BYTES;
/// Most values in a request's body of JSON: those of a call's arguments are as many at most. A record
/// to be tried is one text.
pub const MAX_BODY_VALUES: usize = MAX_ARGUMENTS_BYTES / 2 + 100;
/// Requests of the endpoint whose bodies are read at a time.
pub const MAX_BODIES: usize = 8;
/// The same for one client.
pub const MAX_CLIENT_BODIES: usize = MAX_BODIES / 2;
/// Of [`MAX_BODIES`], places for callers who are known by name.
pub const KEPT_BODIES: usize = 4;
/// Bytes of a form for logging in, which anyone may send: a token and an address to go on to. They
/// need no place: all connections together send some megabytes.
pub const MAX_LOGIN_BODY_BYTES: usize = 4 * MAX_TOKEN_BYTES;
/// Time for a login form to arrive.
pub const LOGIN_BODY_TIMEOUT: Duration = Duration::from_secs(3);
/// Answers of more bytes wait for their reader in one of [`MAX_LARGE_ANSWERS`] places.
pub const LARGE_ANSWER_BYTES: u64 = 64 * 1024;
/// Bytes of a large answer that are handed to its connection at a time.
pub const ANSWER_SLICE_BYTES: usize = 64 * 1024;
/// Large answers that are sent at a time.
pub const MAX_LARGE_ANSWERS: usize = 32;
/// The same to one client.
pub const MAX_CLIENT_LARGE_ANSWERS: usize = MAX_LARGE_ANSWERS / 2;
/// Of [`MAX_LARGE_ANSWERS`], places for callers who are known by name.
pub const KEPT_LARGE_ANSWERS: usize = 8;
/// Fields of a state that a form for a manual call has.
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
/// Time for a client to send the head of a request.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to compute an answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Lifetime of a connection; a client that reads slowly is cut off then.
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
/// Browsers that one caller is logged in with at a time, so that nobody can log everyone else out.
pub const MAX_CALLER_SESSIONS: usize = 16;
/// Lifetime of a login: a working day.
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
/// Polling interval for files of tokens, certificates and keys.
pub const ACCESS_FILES_EVERY: Duration = Duration::from_secs(2);
/// Refresh interval of a key set.
pub const KEY_SET_EVERY: Duration = Duration::from_secs(600);
/// The least time between two questions for a key set, whatever names strangers give for keys.
pub const KEY_SET_PAUSE: Duration = Duration::from_secs(60);
/// Most bytes of a key set from an address.
pub const MAX_KEY_SET_BYTES: usize = 256 * 1024;
/// Timeout of a request for a key set.
pub const KEY_SET_TIMEOUT: Duration = Duration::from_secs(10);
/// Tolerance for the clock of an identity provider.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// Timeout of a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Changed fields that a page shows of one write.
pub const MAX_SHOWN_CHANGES: usize = 200;
/// Fields of a state in which coordinates are looked for.
pub const MAX_MAPPED_FIELDS: usize = 64;
/// Samples for charts that are kept: ten minutes.
pub const MAX_SAMPLES: usize = 300;
/// Longest `monitor.base_path` in bytes: it stands in front of every address of a page.
pub const MAX_BASE_PATH_BYTES: usize = 256;
/// Streams of events that are open at a time; more are answered with 503.
pub const MAX_STREAMS: usize = 64;
/// Streams of one client, such as an office behind one address.
pub const MAX_CLIENT_STREAMS: usize = MAX_STREAMS / 2;
/// Of [`MAX_STREAMS`], places for callers who are known by name.
pub const KEPT_STREAMS: usize = 16;
/// Streams that read a block at the same time: a part of [`MAX_REQUESTS`].
pub const MAX_STREAM_READS: usize = 4;
/// Events of a stream that wait for a slow reader. Full: the stream reads no further block.
pub const MAX_QUEUED_STREAM_EVENTS: usize = 32;
/// Lifetime of a stream; its reader then reconnects and resumes.
pub const STREAM_LIFETIME: Duration = Duration::from_secs(100);
/// Silence after which a stream sends a comment: well below the minute that proxies wait.
pub const STREAM_HEARTBEAT: Duration = Duration::from_secs(10);
/// Exports that are sent at a time; more are answered with 503.
pub const MAX_EXPORTS: usize = 4;
/// Exports to one client.
pub const MAX_CLIENT_EXPORTS: usize = MAX_EXPORTS / 2;
/// Of [`MAX_EXPORTS`], places for callers who are known by name.
pub const KEPT_EXPORTS: usize = 1;
/// Exports that read the state at the same time: however many are sent, they leave the other
/// processors to ingestion.
pub const MAX_EXPORT_READS: usize = 1;
/// Bytes of an export that are made at a time; the next ones wait until its reader has taken them.
pub const EXPORT_PIECE_BYTES: usize = 256 * 1024;
/// Pieces of an export that wait for a slow reader.
pub const MAX_QUEUED_EXPORT_PIECES: usize = 2;
/// Maximum duration of an export. It is cut off then, within [`CONNECTION_LIFETIME`], and its
/// reader resumes after the last line that it has.
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
/// Time that finished batches wait for others, so that they are exported together.
pub const TRACES_EVERY: Duration = Duration::from_secs(1);
/// Timeout of a trace collector.
pub const TRACES_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause after a collector did not answer; the first is [`TRACES_EVERY`].
pub const TRACES_PAUSE: Duration = Duration::from_secs(30);
/// Time that a stop waits for a trace collector.
pub const TRACES_STOP: Duration = Duration::from_secs(3);
/// Traces of records that one batch leads to: as many as collectors take by default.
pub const MAX_TRACE_LINKS: usize = 128;
/// Most bytes of a `traceparent`: twice what its present version has.
pub const MAX_TRACEPARENT_BYTES: usize = 110;
/// Most bytes of a collector's reply.
pub const MAX_TRACES_REPLY_BYTES: usize = 256 * 1024;
/// Most bytes of a `tracestate`, of which W3C Trace Context wants at least so many.
pub const MAX_TRACE_STATE_BYTES: usize = 512;
/// Most bytes of one answer that `top` takes: two pages, so that an endpoint's own bound comes first.
pub const MAX_ANSWER_BYTES: usize = 2 * MAX_PAGE_BYTES;
/// Time that `top` waits for the answers of one round.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Rates that `top` remembers: a minute, asked every second.
pub const MAX_SHOWN_RATES: usize = 60;
/// Time that a stop waits for requests in progress.
pub const ENDPOINT_STOP: Duration = Duration::from_secs(3);

/// Cuts a string at a character border so that it takes at most `max_bytes`.
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
