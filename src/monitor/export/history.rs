//! The history of an asset as a file: every change, the newest first. A change never changes, so what a
//! file holds is exact; it begins with the newest change of the moment when it was asked for.

use crate::codec::json::{Map, Value};
use crate::ledger::LedgerReader;
use crate::limits::{EXPORT_PIECE_BYTES, PAGE_STEP};
use crate::monitor::export::sending::{Head, Pieces, send, standing};
use crate::monitor::export::sheet::{Columns, text_cell};
use crate::monitor::export::{FileForm, disposition};
use crate::monitor::http::asking::{Answer, App, ask};
use crate::monitor::service::Service;
use crate::query::QueryError;
use crate::query::json;
use crate::query::views::ChangeView;
use crate::state::history::of_asset;

const HEADINGS: [&str; 10] = [
    "entry",
    "block",
    "time",
    "transaction",
    "device_type",
    "device_id",
    "function",
    "replaced",
    "deleted",
    "compliant",
];

/// Range and format of an export.
#[derive(Debug, Clone)]
pub struct Back {
    /// From this entry on back; from the newest change on where there is none.
    pub from: Option<u64>,
    /// Its format.
    pub form: FileForm,
}

/// Answers with the history of an asset.
pub async fn history(app: App, (contract, key): (String, String), wanted: Back) -> Answer {
    let Back { from, form } = wanted;
    let names = (contract.clone(), key.clone());
    let known = move |service: &Service| {
        let (contract, key) = (&names.0, &names.1);
        let newest = service.queries.newest_change((contract, key))?;
        let columns = Columns::of(&service.queries, contract);
        Ok((from.unwrap_or(newest).min(newest), columns, standing(service)))
    };
    let (from, columns, standing) = ask(app.clone(), known).await?;
    let beginning = match form {
        FileForm::JsonLines => Vec::new(),
        FileForm::Csv => columns.headings(&HEADINGS),
    };
    let disposition = disposition(&format!("{contract}-{key}-history"), form);
    let head = Head { kind: form.kind(), disposition, standing, beginning };
    send(app, Changes { contract, key, form, columns }, from, head).await
}

#[derive(Clone)]
struct Changes {
    contract: String,
    key: String,
    form: FileForm,
    columns: Columns,
}

impl Pieces for Changes {
    type Place = u64;

    fn piece(
        &self,
        service: &Service,
        mut from: u64,
    ) -> Result<(Vec<u8>, Option<u64>), QueryError> {
        let mut bytes = Vec::new();
        // A step may read as many blocks as it has changes.
        let most_steps = crate::limits::MAX_SCANNED_BLOCKS / PAGE_STEP as u64;
        for _ in 0..most_steps.max(1) {
            let ledger: &dyn LedgerReader = service.queries.ledger();
            let (found, next) = of_asset(ledger, (&self.contract, &self.key), from, PAGE_STEP)?;
            for change in found.iter().filter_map(|found| ChangeView::of(found, &self.key)) {
                self.write(&change, &mut bytes);
            }
            match next {
                None => return Ok((bytes, None)),
                Some(next) => from = next,
            }
            if bytes.len() >= EXPORT_PIECE_BYTES {
                break;
            }
        }
        Ok((bytes, Some(from)))
    }
}

impl Changes {
    fn write(&self, change: &ChangeView, bytes: &mut Vec<u8>) {
        match self.form {
            FileForm::JsonLines => {
                bytes.extend_from_slice(json::to_text(change).as_bytes());
                bytes.push(b'\n');
            }
            FileForm::Csv => bytes.extend_from_slice(&self.row(change)),
        }
    }

    fn row(&self, change: &ChangeView) -> Vec<u8> {
        let asset = change.write.asset.as_ref().and_then(Value::as_object);
        let member = |name: &str| asset.and_then(|asset| asset.get(name));
        let fields = |name: &str| -> Option<&Map> { member(name).and_then(Value::as_object) };
        let transaction = &change.transaction;
        let before = vec![
            transaction.entry.to_string(),
            change.block.to_string(),
            transaction.time.clone(),
            text_cell(&transaction.id),
            text_cell(&transaction.device_type),
            text_cell(&transaction.device_id),
            transaction.function.to_owned(),
            change.write.replaced.map(|entry| entry.to_string()).unwrap_or_default(),
            asset.is_none().to_string(),
            member("compliant").map(Value::to_string).unwrap_or_default(),
        ];
        self.columns.row(before, fields("state"), fields("derived"))
    }
}
