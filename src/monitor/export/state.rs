//! The state of a contract as a file: every asset that a filter takes, once, in order of keys.
//!
//! The state moves on while a file is read. Each line is an asset as it was at some moment between the
//! two heights that the answer names; a line whose `version` lies below the number of entries in front
//! of the file was not changed since and is exactly what the first height left. For the others, and for what
//! was deleted meanwhile, the API gives the asset at that block.

use crate::limits::{EXPORT_PIECE_BYTES, MAX_SCANNED_ASSETS, PAGE_STEP};
use crate::monitor::export::sending::{Head, Pieces, send, standing};
use crate::monitor::export::sheet::{Columns, text_cell};
use crate::monitor::export::{FileForm, disposition};
use crate::monitor::http::asking::{Answer, App, ask};
use crate::monitor::service::Service;
use crate::query::QueryError;
use crate::query::json;
use crate::query::views::AssetView;
use crate::state::Filter;

const HEADINGS: [&str; 4] = ["key", "version", "compliant", "alerts"];

/// Assets and format of an export.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The assets.
    pub filter: Filter,
    /// Behind this key.
    pub after: Option<String>,
    /// The format.
    pub form: FileForm,
}

/// Answers with the state of a contract.
pub async fn state(app: App, contract: String, wanted: Wanted) -> Answer {
    let Wanted { filter, after, form } = wanted;
    let name = contract.clone();
    let known = move |service: &Service| {
        service.queries.known_contract(&name)?;
        Ok((Columns::of(&service.queries, &name), standing(service)))
    };
    let (columns, standing) = ask(app.clone(), known).await?;
    let beginning = match form {
        FileForm::JsonLines => Vec::new(),
        FileForm::Csv => columns.headings(&HEADINGS),
    };
    let disposition = disposition(&contract, form);
    let head = Head { kind: form.kind(), disposition, standing, beginning };
    send(app, Assets { contract, filter, form, columns }, after, head).await
}

#[derive(Clone)]
struct Assets {
    contract: String,
    filter: Filter,
    form: FileForm,
    columns: Columns,
}

impl Pieces for Assets {
    type Place = Option<String>;

    fn piece(
        &self,
        service: &Service,
        mut after: Option<String>,
    ) -> Result<(Vec<u8>, Option<Self::Place>), QueryError> {
        let mut bytes = Vec::new();
        loop {
            let bounds = (PAGE_STEP, MAX_SCANNED_ASSETS);
            let world = service.queries.world();
            let (assets, next) =
                world.list(&self.contract, after.as_deref(), &self.filter, bounds)?;
            let was_long = assets.len() < PAGE_STEP;
            for asset in assets {
                self.write(&asset.into(), &mut bytes);
            }
            match next {
                None => return Ok((bytes, None)),
                Some(next) if was_long || bytes.len() >= EXPORT_PIECE_BYTES => {
                    return Ok((bytes, Some(Some(next))));
                }
                Some(next) => after = Some(next),
            }
        }
    }
}

impl Assets {
    fn write(&self, view: &AssetView, bytes: &mut Vec<u8>) {
        match self.form {
            FileForm::JsonLines => {
                bytes.extend_from_slice(json::to_text(view).as_bytes());
                bytes.push(b'\n');
            }
            FileForm::Csv => {
                let asset = &view.asset;
                let before = vec![
                    text_cell(&view.key),
                    view.version.to_string(),
                    asset.compliant.to_string(),
                    text_cell(&asset.alerts.active.join(" ")),
                ];
                let row = self.columns.row(before, Some(&asset.state), Some(&asset.derived));
                bytes.extend_from_slice(&row);
            }
        }
    }
}
