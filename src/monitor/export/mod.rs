//! Exports: a whole state or history as one file, for programs (JSON lines) and spreadsheets (CSV).
//!
//! An export is read in pieces as its reader takes them, so it holds a few pieces of memory however
//! large the state is, and no lock between them: ingestion goes on. What it is consistent with is said
//! by [`state`]. Time is bounded; an export that is not whole ends as a connection that is cut, never
//! as a file that looks whole.

mod history;
mod sending;
mod sheet;
mod state;

pub use history::{Back, history};
pub use state::{Wanted, state};

use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Forms of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileForm {
    /// JSON, an item a line.
    #[default]
    JsonLines,
    /// RFC 4180.
    Csv,
}

impl FileForm {
    /// Its media type with parameters.
    pub fn kind(self) -> &'static str {
        match self {
            Self::JsonLines => "application/jsonl",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
        }
    }
}

impl FromStr for FileForm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "jsonl" => Ok(Self::JsonLines),
            "csv" => Ok(Self::Csv),
            _ => Err("known are jsonl and csv"),
        }
    }
}

/// The header that makes a browser save an answer as a file (RFC 6266): an ASCII name for all
/// clients, and the full name for those that support it.
fn disposition(name: &str, form: FileForm) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let whole = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let ending = form.ending();
    format!("attachment; filename=\"{plain}.{ending}\"; filename*=UTF-8''{whole}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_safe() {
        assert_eq!(
            disposition("cold_chain", FileForm::Csv),
            "attachment; filename=\"cold_chain.csv\"; filename*=UTF-8''cold%5Fchain.csv"
        );
        assert_eq!(
            disposition("../a\"\r\nü", FileForm::JsonLines),
            "attachment; filename=\"___a____.jsonl\"; \
             filename*=UTF-8''%2E%2E%2Fa%22%0D%0A%C3%BC.jsonl"
        );
    }
}
