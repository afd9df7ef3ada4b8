//! What a request asks for: parameters are taken by name, and what is left over is an error, so
//! that a misspelt filter never looks like one that matched everything.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;

use crate::limits::{DEFAULT_PAGE, MAX_PAGE_ITEMS};
use crate::monitor::answer::Problem;
use crate::monitor::query::QueryError;

/// Names in the path of an address.
pub struct InPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(names)| Self(names)).map_err(|rejection| {
            let detail = format!("the path cannot be read: {}", rejection.body_text());
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
    }
}

/// The parameters behind the `?` of an address.
#[derive(Debug)]
pub struct Parameters {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Parameters {
    /// Those of an address.
    pub fn of(uri: &Uri) -> Result<Self, QueryError> {
        let Query(left) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| QueryError::Malformed(format!("the query cannot be read: {error}")))?;
        Ok(Self { left, known: Vec::new() })
    }

    /// Takes one by name.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, QueryError> {
        self.known.push(name);
        let Some(at) = self.left.iter().position(|(found, _)| found == name) else {
            return Ok(None);
        };
        let (_, value) = self.left.swap_remove(at);
        if self.left.iter().any(|(found, _)| found == name) {
            return Err(QueryError::Malformed(format!("the parameter `{name}` stands twice")));
        }
        Ok(Some(value))
    }

    /// Takes one by name and reads it.
    pub fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, QueryError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error| {
            QueryError::Malformed(format!("the parameter `{name}` cannot be `{text}`: {error}"))
        })
    }

    /// Takes `limit`: how many items a page has.
    pub fn limit(&mut self) -> Result<usize, QueryError> {
        match self.parsed::<usize>("limit")? {
            None => Ok(DEFAULT_PAGE),
            Some(limit @ 1..=MAX_PAGE_ITEMS) => Ok(limit),
            Some(limit) => Err(QueryError::Malformed(format!(
                "the parameter `limit` cannot be {limit}: a page has 1 to {MAX_PAGE_ITEMS} items, and \
                 `next` in the answer leads to the one behind it"
            ))),
        }
    }

    /// Takes every parameter whose name begins with a prefix; gives names without it, and values.
    pub fn with_prefix(&mut self, prefix: &'static str) -> Vec<(String, String)> {
        self.known.push(prefix);
        let (taken, left) = std::mem::take(&mut self.left)
            .into_iter()
            .partition::<Vec<_>, _>(|(name, _)| name.starts_with(prefix));
        self.left = left;
        taken.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
    }

    /// Refuses what nobody took.
    pub fn finish(self) -> Result<(), QueryError> {
        let Some((name, _)) = self.left.first() else { return Ok(()) };
        let known = match self.known.as_slice() {
            [] => "there are none here".to_owned(),
            known => format!("known here: {}", known.join(", ")),
        };
        Err(QueryError::Malformed(format!("the parameter `{name}` is unknown; {known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(parameters("").limit().unwrap(), DEFAULT_PAGE);
        assert_eq!(parameters("limit=500").limit().unwrap(), 500);
        for query in ["limit=0", "limit=501", "limit=1000000000", "limit=-1", "limit=x", "limit="] {
            assert!(parameters(query).limit().is_err(), "{query}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        let mut given = parameters("devcie=a&limit=3");
        given.limit().unwrap();
        given.text("device").unwrap();
        let error = given.finish().unwrap_err().to_string();
        assert!(error.contains("`devcie`") && error.contains("limit, device"), "{error}");
        assert!(parameters("device=a&device=b").text("device").is_err());
    }

    #[test]
    fn prefixed_parameters() {
        let mut given = parameters("where.cargo.kind=fish%26chips&prefix=C&where.n=3");
        let mut filters = given.with_prefix("where.");
        filters.sort();
        let filter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(filters, [filter("cargo.kind", "fish&chips"), filter("n", "3")]);
        assert_eq!(given.text("prefix").unwrap().as_deref(), Some("C"));
        given.finish().unwrap();
    }
}
