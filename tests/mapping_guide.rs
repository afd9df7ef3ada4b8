//! The page about mappings is true: its mappings pass their own tests, its configuration is taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::path::Path;

use ledgerline::codec::yaml;
use ledgerline::event::{BodyForm, Decoder, IdentityForm};
use ledgerline::mapping::MappingSet;
use regex::Regex;

/// The YAML blocks of the page that begin with a key.
fn blocks(key: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mappings.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = Regex::new(r"(?s)```yaml\n(.*?)```").unwrap();
    let blocks = block.captures_iter(&page).map(|found| found[1].to_owned());
    blocks.filter(|block| block.starts_with(key)).collect()
}

#[test]
fn its_mappings_pass_their_tests() {
    let (mut mappings, mut tests) = (0, 0);
    for block in blocks("mapping:") {
        let (set, diagnostics) =
            MappingSet::from_texts(&[("docs/mappings.md".into(), block.clone())]);
        assert!(diagnostics.is_empty(), "{}\n{block}", diagnostics[0]);
        mappings += set.mappings.len();
        for result in set.run_tests() {
            assert_eq!(result.failure, None, "{}\n{block}", result.test);
            tests += 1;
        }
    }
    assert!(mappings >= 6 && tests >= 7, "{mappings} mappings, {tests} tests");
}

#[test]
fn its_configuration_is_taken() {
    #[derive(serde::Deserialize)]
    struct Form {
        #[serde(default)]
        identity: IdentityForm,
        #[serde(default)]
        body: BodyForm,
    }
    let file = Path::new("docs/mappings.md");
    let (identity, body) = (blocks("identity:"), blocks("body:"));
    assert_eq!((identity.len(), body.len()), (1, 1));
    for block in identity.into_iter().chain(body) {
        let form = yaml::parse::<Form>(file, &block).unwrap().remove(0);
        let decoder = Decoder::new(&form.identity, file).unwrap_or_else(|diagnostics| {
            panic!("{}", diagnostics[0]);
        });
        let _ = decoder.with_body(form.body);
    }
}
