//! The part of a configuration that the tests of mappings and contracts need: their files, and how
//! records are read.

use std::path::{Path, PathBuf};

use super::{ConfigForm, files, inputs};
use crate::codec::yaml;
use crate::diagnostic::{Diagnostic, Place};
use crate::mapping::TestInputs;

/// The definitions that a configuration names.
#[derive(Debug)]
pub struct Definitions {
    /// Mapping files.
    pub mappings: Vec<PathBuf>,
    /// Contract files.
    pub contracts: Vec<PathBuf>,
    /// Identity methods and body formats of the inputs.
    pub inputs: TestInputs,
}

/// Reads the definitions' part of a configuration; `None` where a fault does not let it.
pub fn definitions(path: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<Definitions> {
    let mut form = match yaml::read(path).and_then(|text| yaml::parse::<ConfigForm>(path, &text)) {
        Ok(mut forms) if forms.len() == 1 => forms.remove(0),
        Ok(forms) => {
            let message = format!("holds {} YAML documents, one is expected", forms.len());
            diagnostics.push(Diagnostic::error(path, Place::START, message));
            return None;
        }
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            return None;
        }
    };
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let at = |file: &Path| base.join(file);
    Some(Definitions {
        mappings: files(path, &form.mappings, &at, diagnostics),
        contracts: files(path, &form.contracts, &at, diagnostics),
        inputs: inputs::for_tests(path, &mut form, &at, diagnostics)?,
    })
}
