//! Operations on the ledger: blocks, transactions, proofs, and the definitions that it recorded.

use crate::event::{PositionError, SourcePosition};
use crate::ledger::DefinitionKind;
use crate::monitor::api::operation::{
    About, Asked, Form, Operation, Tag, handled, nothing, question,
};
use crate::monitor::http::answer::{Problem, changing};
use crate::monitor::http::asking::{Answer, App, ask, ask_json};
use crate::monitor::http::parameter::{self, Parameter};
use crate::monitor::http::request::Parameters;
use crate::query::QueryError;
use crate::query::views::ProofView;

/// Topic, partition, offset and output in a path.
pub type IdParts = (String, String, String, String);

const ID: &[Parameter] =
    &[parameter::TOPIC, parameter::PARTITION, parameter::OFFSET, parameter::OUTPUT];

/// `/api/v1/blocks`.
pub fn blocks() -> Operation {
    let about = About {
        id: "listBlocks",
        tag: Tag::Ledger,
        path: "/api/v1/blocks",
        names: &[],
        summary: "Blocks, newest first.",
        more: "",
        example: "limit=2",
    };
    let take =
        |given: &mut Parameters| Ok((given.parsed(parameter::BEFORE_BLOCK)?, given.limit()?));
    question(about, take, |app: &App, (): (), (before, limit)| {
        app.service.queries.blocks(before, limit)
    })
}

/// `/api/v1/blocks/{number}`.
pub fn block() -> Operation {
    let about = About {
        id: "getBlock",
        tag: Tag::Ledger,
        path: "/api/v1/blocks/{number}",
        names: &[parameter::NUMBER],
        summary: "A block with a page of its entries.",
        more: "Every page has header, seal and checkpoint.",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| {
        Ok((given.parsed(parameter::FROM_ENTRY)?.unwrap_or(0), given.limit()?))
    };
    question(about, take, |app: &App, number: String, (from, limit)| {
        app.service.queries.block(block_number(&number)?, from, limit)
    })
}

/// `/api/v1/blocks/{number}/verification`.
pub fn verification() -> Operation {
    let about = About {
        id: "verifyBlock",
        tag: Tag::Ledger,
        path: "/api/v1/blocks/{number}/verification",
        names: &[parameter::NUMBER],
        summary: "Checks a block from its bytes, step by step.",
        more: "Hashes, signatures and tree are recomputed by the answering program. If you must not trust \
               it, run `ledgerline verify` on the ledger's files.",
        example: "",
    };
    question(about, nothing, |app: &App, number: String, ()| {
        app.service.queries.verify_block(block_number(&number)?)
    })
}

/// `/api/v1/transactions`.
pub fn transactions() -> Operation {
    let about = About {
        id: "listTransactions",
        tag: Tag::Ledger,
        path: "/api/v1/transactions",
        names: &[],
        summary: "Transactions, newest first: all, or those that match the filters.",
        more: "A search scans a bounded part of the log at a time; a page may have few or no items and \
               `next`.",
        example: "limit=2",
    };
    let take = |given: &mut Parameters| {
        let filter = given.transaction_filter()?;
        Ok((filter, given.parsed(parameter::BEFORE_ENTRY)?, given.limit()?))
    };
    question(about, take, |app: &App, (): (), (filter, before, limit)| {
        app.service.queries.transactions(&filter, before, limit)
    })
}

/// `/api/v1/transactions/{topic}/{partition}/{offset}/{output}`.
pub fn transaction() -> Operation {
    let about = About {
        id: "getTransaction",
        tag: Tag::Ledger,
        path: "/api/v1/transactions/{topic}/{partition}/{offset}/{output}",
        names: ID,
        summary: "A transaction with its arguments, verdict and writes.",
        more: "Its id is the position of its record in Kafka. If a record produced none, the answer states \
               its disposition.",
        example: "",
    };
    question(about, nothing, |app: &App, id: IdParts, ()| {
        app.service.queries.transaction(&transaction_id(&id)?)
    })
}

/// `/api/v1/records/{topic}/{partition}/{offset}`.
pub fn record() -> Operation {
    let about = About {
        id: "getRecord",
        tag: Tag::Ledger,
        path: "/api/v1/records/{topic}/{partition}/{offset}",
        names: &[parameter::TOPIC, parameter::PARTITION, parameter::OFFSET],
        summary: "The disposition of a record: committed, filtered, dead letter, or not read.",
        more: "",
        example: "",
    };
    type Parts = (String, String, String);
    question(about, nothing, |app: &App, (topic, partition, offset): Parts, ()| {
        // A record is a position without an output.
        let id = transaction_id(&(topic, partition, offset, "0".to_owned()))?;
        app.service.queries.record(&id.partition, id.offset)
    })
}

/// A form in which a proof may be asked for.
enum ProofForm {
    Json,
    TlogProof,
}

/// `/api/v1/transactions/{topic}/{partition}/{offset}/{output}/proof`.
pub fn proof() -> Operation {
    let about = About {
        id: "getProof",
        tag: Tag::Ledger,
        path: "/api/v1/transactions/{topic}/{partition}/{offset}/{output}/proof",
        names: ID,
        summary: "The proof that a transaction is in the ledger.",
        more: "Towards the newest signed checkpoint (RFC 6962, C2SP tlog-proof).",
        example: "",
    };
    let take = |given: &mut Parameters| match given.text(parameter::PROOF_FORM)?.as_deref() {
        None | Some("json") => Ok(ProofForm::Json),
        Some("tlog-proof") => Ok(ProofForm::TlogProof),
        Some(other) => Err(QueryError::Malformed(format!(
            "the parameter `format` cannot be `{other}`: known are json and tlog-proof"
        ))),
    };
    let forms = vec![Form::json::<ProofView>(), Form::text("text/plain")];
    handled(about, take, forms, answer_proof).tagged()
}

async fn answer_proof(request: Asked<IdParts, ProofForm>) -> Answer {
    let id = transaction_id(&request.names).map_err(Problem::from)?;
    let app = request.app;
    match request.asked {
        ProofForm::Json => ask_json(app, move |service| service.queries.proof(&id)).await,
        ProofForm::TlogProof => {
            let proof = ask(app, move |service| service.queries.proof(&id)).await?;
            Ok(changing("text/plain; charset=utf-8", proof.tlog_proof))
        }
    }
}

/// `/api/v1/mappings`.
pub fn mappings() -> Operation {
    let about = About {
        id: "listMappings",
        path: "/api/v1/mappings",
        summary: "Mappings in the order in which they were recorded, without their texts.",
        ..DEFINITIONS
    };
    definitions(about, DefinitionKind::Mapping)
}

/// `/api/v1/mappings/{name}`.
pub fn mapping() -> Operation {
    let about = About {
        id: "getMapping",
        path: "/api/v1/mappings/{name}",
        names: &[parameter::MAPPING_NAME],
        summary: "A mapping with its text: the newest version, or the one with a digest.",
        ..DEFINITION
    };
    definition(about, DefinitionKind::Mapping)
}

/// `/api/v1/mappings/{name}/tests`.
pub fn mapping_tests() -> Operation {
    let about = About {
        id: "testMapping",
        path: "/api/v1/mappings/{name}/tests",
        names: &[parameter::MAPPING_NAME],
        ..DEFINITION_TESTS
    };
    definition_tests(about, DefinitionKind::Mapping)
}

/// `/api/v1/contracts`.
pub fn contracts() -> Operation {
    let about = About {
        id: "listContracts",
        path: "/api/v1/contracts",
        summary: "Contracts in the order in which they were recorded, without their texts.",
        ..DEFINITIONS
    };
    definitions(about, DefinitionKind::Contract)
}

/// `/api/v1/contracts/{name}`.
pub fn contract() -> Operation {
    let about = About {
        id: "getContract",
        path: "/api/v1/contracts/{name}",
        names: &[parameter::CONTRACT_NAME],
        summary: "A contract with its text: the newest version, or the one with a digest.",
        ..DEFINITION
    };
    definition(about, DefinitionKind::Contract)
}

/// `/api/v1/contracts/{name}/tests`.
pub fn contract_tests() -> Operation {
    let about = About {
        id: "testContract",
        path: "/api/v1/contracts/{name}/tests",
        names: &[parameter::CONTRACT_NAME],
        ..DEFINITION_TESTS
    };
    definition_tests(about, DefinitionKind::Contract)
}

/// The common part of the lists of definitions.
const DEFINITIONS: About =
    About { more: "Every version is a separate item.", example: "limit=2", ..DEFINITION };

/// The common part of one definition.
const DEFINITION: About = About {
    id: "",
    tag: Tag::Definitions,
    path: "",
    names: &[],
    summary: "",
    more: "",
    example: "",
};

/// The common part of the tests of definitions.
const DEFINITION_TESTS: About = About {
    summary: "Runs a definition's own tests.",
    more: "With the program version of the service.",
    ..DEFINITION
};

fn definitions(about: About, kind: DefinitionKind) -> Operation {
    let take = |given: &mut Parameters| Ok((given.parsed(parameter::AFTER_ENTRY)?, given.limit()?));
    question(about, take, move |app: &App, (): (), (after, limit)| {
        Ok(app.service.queries.definitions(kind, after, limit))
    })
}

fn definition(about: About, kind: DefinitionKind) -> Operation {
    let take = |given: &mut Parameters| given.text(parameter::DIGEST);
    question(about, take, move |app: &App, name: String, digest: Option<String>| {
        app.service.queries.definition(kind, &name, digest.as_deref())
    })
}

fn definition_tests(about: About, kind: DefinitionKind) -> Operation {
    let take = |given: &mut Parameters| given.text(parameter::DIGEST);
    question(about, take, move |app: &App, name: String, digest: Option<String>| {
        app.service.queries.definition_tests(kind, &name, digest.as_deref())
    })
}

/// Reads the number of a block.
fn block_number(text: &str) -> Result<u64, QueryError> {
    text.parse().map_err(|_| QueryError::Malformed(format!("`{text}` is not a block number")))
}

/// Reads the id of a transaction.
pub fn transaction_id(parts: &IdParts) -> Result<SourcePosition, QueryError> {
    let (topic, partition, offset, output) = parts;
    let text = format!("{topic}/{partition}/{offset}/{output}");
    text.parse().map_err(|error: PositionError| QueryError::Malformed(error.to_string()))
}
