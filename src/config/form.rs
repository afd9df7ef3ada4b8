//! The configuration as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::codec::yaml::Located;
use crate::config::monitor::MonitorForm;
use crate::config::traces::TracesForm;
use crate::event::{BodyForm, IdentityForm};
use crate::input::{CallsForm, FileForm, InputOptions, KafkaForm};

/// A Ledgerline configuration. Paths are relative to the file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigForm {
    /// The ledger.
    pub ledger: LedgerForm,
    /// The only input, beside manual calls: the short form of `inputs`.
    pub source: Option<Located<InputForm>>,
    /// The inputs by name; every one, manual calls included.
    pub inputs: Option<Located<BTreeMap<String, Located<InputForm>>>>,
    /// Mapping files, or directories of them.
    pub mappings: Vec<Located<PathBuf>>,
    /// Contract files, or directories of them.
    pub contracts: Vec<Located<PathBuf>>,
    /// Limits at which a submission is sent.
    #[serde(default)]
    pub submission: SubmissionForm,
    /// The handling of dead letters besides keeping them in the ledger.
    #[serde(default)]
    pub dead_letters: DeadLettersForm,
    /// The endpoint.
    #[serde(default)]
    pub monitor: MonitorForm,
    /// Traces of batches for a collector; none where not named.
    pub traces: Option<Located<TracesForm>>,
    /// Mapping threads; as many as there are cores, up to 8, where not named.
    pub mapper_threads: Option<Located<usize>>,
}

/// The ledger.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerForm {
    /// Name of the ledger: it stands in every signature and checkpoint and can never be changed.
    pub name: Located<String>,
    /// Its directory.
    pub directory: Located<PathBuf>,
    /// Key file (Ed25519, PKCS#8 PEM, mode 0600) that seals blocks and signs checkpoints.
    pub key: Located<PathBuf>,
    /// The key file before, during a rotation.
    pub previous_key: Option<Located<PathBuf>>,
    /// Key file that signs submissions; the ledger's own where not named.
    pub submitter_key: Option<Located<PathBuf>>,
    /// File for a copy of the newest checkpoint outside the directory, so that an old copy of the
    /// ledger is noticed. Default: `DIRECTORY.checkpoint`.
    pub checkpoint_copy: Option<Located<PathBuf>>,
    /// A segment of the log is closed when it has grown past this many bytes.
    pub segment_bytes: Option<u64>,
}

/// Declares an input as it is written, with one option for each kind.
macro_rules! input_kinds {
    ($($(#[$doc:meta])* $kind:ident: $form:ty,)*) => {
        /// An input: the options of exactly one kind, and how its records become events.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct InputForm {
            $($(#[$doc])* pub $kind: Option<Located<$form>>,)*
            /// Text in front of its topics in the names of its streams.
            pub stream_prefix: Option<Located<String>>,
            /// Methods that identify device and event.
            #[serde(default)]
            pub identity: IdentityForm,
            /// The form of a record's value, where it is not plain JSON.
            #[serde(default)]
            pub body: BodyForm,
        }

        impl InputForm {
            /// Every kind of input.
            pub const KINDS: &[&str] = &[$(stringify!($kind)),*];

            /// Takes the options of each kind that is given.
            pub fn take_options(&mut self) -> Vec<Located<Box<dyn InputOptions>>> {
                let mut options: Vec<Located<Box<dyn InputOptions>>> = Vec::new();
                $(if let Some(Located { value, place }) = self.$kind.take() {
                    options.push(Located { value: Box::new(value), place });
                })*
                options
            }
        }
    };
}

input_kinds! {
    /// Kafka.
    kafka: KafkaForm,
    /// A file of JSON lines as `kcat -J` writes them, or `-` for standard input.
    file: FileForm,
    /// Manual calls.
    calls: CallsForm,
}

/// A submission is due as soon as one of these is reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SubmissionForm {
    /// Transactions.
    pub max_transactions: Located<usize>,
    /// Bytes of arguments.
    pub max_bytes: usize,
    /// Milliseconds since the first record.
    pub max_wait_ms: u64,
    /// True if each transaction is signed by itself, so that it can be handed on with a signature
    /// of its own. It costs as much as everything else together, three times over.
    pub sign_each: bool,
}

impl Default for SubmissionForm {
    fn default() -> Self {
        let place = crate::diagnostic::Place::START;
        Self {
            max_transactions: Located { value: 500, place },
            max_bytes: 1024 * 1024,
            max_wait_ms: 10,
            sign_each: false,
        }
    }
}

/// Dead letters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLettersForm {
    /// Kafka topic for copies, with the cause in headers.
    pub topic: Option<Located<String>>,
    /// The input whose cluster has the topic; needed where several inputs are Kafka.
    pub input: Option<Located<String>>,
}
