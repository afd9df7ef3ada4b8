//! Parsing of requests: parameters are taken by name, and leftovers are an error, so that a
//! misspelt filter never looks like one that matched everything.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;

use crate::event::time::{self, SentTime};
use crate::limits::{DEFAULT_PAGE, MAX_PAGE_ITEMS};
use crate::monitor::http::answer::Problem;
use crate::monitor::http::parameter::{self, Parameter};
use crate::query::TransactionFilter;
use crate::query::{At, QueryError};

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

/// Refuses an address that cannot be decoded: a `%` without two hexadecimal digits, or bytes that are
/// not UTF-8.
pub fn check_encoding(uri: &Uri) -> Result<(), Problem> {
    let parts = [("path", uri.path()), ("query", uri.query().unwrap_or_default())];
    for (part, text) in parts {
        let mut codes = text.split('%').skip(1).map(|rest| rest.as_bytes().get(..2));
        let reason = if !codes.all(|code| code.is_some_and(|c| c.iter().all(u8::is_ascii_hexdigit)))
        {
            "a `%` must be followed by two hexadecimal digits; write `%25` for the character itself"
        } else if percent_encoding::percent_decode_str(text).decode_utf8().is_err() {
            "it is not UTF-8"
        } else {
            continue;
        };
        let detail = format!("the {part} of the address cannot be decoded: {reason}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(())
}

/// The parameters behind the `?` of an address.
#[derive(Debug, Default)]
pub struct Parameters {
    left: Vec<(String, String)>,
    known: Vec<Parameter>,
    /// True if an empty value is an error rather than none.
    is_exact: bool,
}

impl Parameters {
    /// The parameters of a page's address. Its forms send a field that was left empty as well: it
    /// counts as none.
    pub fn of(uri: &Uri) -> Result<Self, QueryError> {
        let query = uri.query().unwrap_or_default();
        let left = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { left, ..Self::default() })
    }

    /// The parameters of a program's address: an empty value is an error.
    pub fn exact(uri: &Uri) -> Result<Self, QueryError> {
        Ok(Self { is_exact: true, ..Self::of(uri)? })
    }

    /// Those of a form that was sent as a body.
    pub fn of_form(form: &[u8]) -> Result<Self, QueryError> {
        if percent_encoding::percent_decode(form).decode_utf8().is_err() {
            let message = "the form contains bytes that are not UTF-8; send such bytes in base64";
            return Err(QueryError::Malformed(message.to_owned()));
        }
        let left = form_urlencoded::parse(form).into_owned().collect();
        Ok(Self { left, ..Self::default() })
    }

    /// None at all: what is taken from them is what an operation knows.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything that was taken so far, given or not.
    pub fn known(&self) -> &[Parameter] {
        &self.known
    }

    /// Takes one by name.
    pub fn text(&mut self, parameter: impl Into<Parameter>) -> Result<Option<String>, QueryError> {
        let parameter = parameter.into();
        let name = parameter.name;
        self.known.push(parameter);
        let Some(at) = self.left.iter().position(|(found, _)| found == name) else {
            return Ok(None);
        };
        let (_, value) = self.left.swap_remove(at);
        if self.left.iter().any(|(found, _)| found == name) {
            return Err(QueryError::Malformed(format!("the parameter `{name}` is given twice")));
        }
        if self.is_exact && value.is_empty() {
            let message = format!("the parameter `{name}` is empty; give a value or leave it out");
            return Err(QueryError::Malformed(message));
        }
        Ok(Some(value))
    }

    /// Looks at one by name and leaves it.
    pub fn peek(&self, name: &str) -> Option<String> {
        self.left.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }

    /// Takes one by name; a field of a form that was left empty is none.
    pub fn filled(
        &mut self,
        parameter: impl Into<Parameter>,
    ) -> Result<Option<String>, QueryError> {
        Ok(self.text(parameter)?.filter(|text| !text.is_empty()))
    }

    /// Takes one by name that must be given.
    pub fn required(&mut self, parameter: Parameter) -> Result<String, QueryError> {
        let missing = || format!("the parameter `{}` is missing", parameter.name);
        self.filled(parameter)?.ok_or_else(|| QueryError::Malformed(missing()))
    }

    /// Takes one by name and reads it.
    pub fn parsed<T>(&mut self, parameter: impl Into<Parameter>) -> Result<Option<T>, QueryError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let parameter = parameter.into();
        let text = self.text(parameter)?;
        text.map(|text| Self::read(parameter.name, &text)).transpose()
    }

    fn read<T>(name: &str, text: &str) -> Result<T, QueryError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let refused = |reason: String| {
            QueryError::Malformed(format!("the parameter `{name}` cannot be `{text}`: {reason}"))
        };
        // Rust reads a sign in front of numbers that have none.
        if text.starts_with('+') {
            return Err(refused("it begins with `+`".to_owned()));
        }
        text.parse().map_err(|error: T::Err| refused(error.to_string()))
    }

    /// Takes a time by name, RFC 3339. What a browser's field for times gives has no offset: it counts
    /// as UTC.
    fn instant(&mut self, parameter: Parameter) -> Result<Option<SentTime>, QueryError> {
        let name = parameter.name;
        let Some(text) = self.filled(parameter)? else { return Ok(None) };
        let read = time::instant(&text).or_else(|error| {
            let in_utc = [format!("{text}Z"), format!("{text}:00Z")];
            in_utc.iter().find_map(|text| time::instant(text).ok()).ok_or(error)
        });
        read.map(Some)
            .map_err(|error| QueryError::Malformed(format!("the parameter `{name}`: {error}")))
    }

    /// Takes a time by name, as the first whole millisecond since 1970 that is not before it: blocks
    /// are made at whole ones.
    pub fn time_ms(&mut self, parameter: Parameter) -> Result<Option<i64>, QueryError> {
        let first = |time: SentTime| time.ms() + i64::from(time.below_ms_ns() > 0);
        Ok(self.instant(parameter)?.map(first))
    }

    /// Takes when a question about the past is meant for: `at_block` or `at_time`.
    pub fn at(&mut self) -> Result<Option<At>, QueryError> {
        let number = self.filled(parameter::AT_BLOCK)?;
        let number = number.map(|text| Self::read("at_block", &text)).transpose()?;
        match (number, self.instant(parameter::AT_TIME)?) {
            (None, None) => Ok(None),
            (Some(number), None) => Ok(Some(At::Block(number))),
            (None, Some(time)) => Ok(Some(At::Time(time.ms()))),
            (Some(_), Some(_)) => {
                let message = "`at_block` and `at_time` cannot both be given; leave one out";
                Err(QueryError::Malformed(message.to_owned()))
            }
        }
    }

    /// Takes what a search for transactions asks for.
    pub fn transaction_filter(&mut self) -> Result<TransactionFilter, QueryError> {
        Ok(TransactionFilter {
            device_type: self.filled(parameter::DEVICE_TYPE)?,
            device_id: self.filled(parameter::DEVICE_ID)?,
            contract: self.filled(parameter::CONTRACT)?,
            verdict: self
                .filled(parameter::VERDICT)?
                .map(|text| Self::read("verdict", &text))
                .transpose()?,
            since_ms: self.time_ms(parameter::SINCE)?,
            until_ms: self.time_ms(parameter::UNTIL)?,
        })
    }

    /// Takes `limit`: how many items a page has.
    pub fn limit(&mut self) -> Result<usize, QueryError> {
        match self.parsed::<usize>(parameter::LIMIT)? {
            None => Ok(DEFAULT_PAGE),
            Some(limit @ 1..=MAX_PAGE_ITEMS) => Ok(limit),
            Some(limit) => Err(QueryError::Malformed(format!(
                "the parameter `limit` cannot be {limit}: a page has 1 to {MAX_PAGE_ITEMS} items, and \
                 `next` in the answer leads to the one behind it"
            ))),
        }
    }

    /// Takes every parameter whose name begins with a prefix; gives names without it, and values.
    pub fn with_prefix(&mut self, parameter: impl Into<Parameter>) -> Vec<(String, String)> {
        let parameter = parameter.into();
        let prefix = parameter.name;
        self.known.push(parameter);
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
            [] => "this address takes no parameters".to_owned(),
            known => {
                let names: Vec<_> = known.iter().map(|parameter| parameter.name).collect();
                format!("known here: {}", names.join(", "))
            }
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
    fn a_program_must_not_give_an_empty_value() {
        let exact =
            |query: &str| Parameters::exact(&format!("/x?{query}").parse().unwrap()).unwrap();
        for query in ["limit=", "limit", "at_block=", "at_time=", "limit=%2B5", "at_block=%2B5"] {
            let mut given = exact(query);
            let taken = given.at().map(drop).and_then(|()| given.limit().map(drop));
            assert!(taken.is_err(), "{query}");
        }
        for query in ["device_type=", "device_id=", "contract=", "verdict=", "since=", "until="] {
            let error = exact(query).transaction_filter().unwrap_err().to_string();
            assert!(error.contains("is empty"), "{query}: {error}");
            assert!(parameters(query).transaction_filter().is_ok(), "a form sends empty fields");
        }
        let mut given = exact("where.name=");
        assert_eq!(given.with_prefix("where."), [("name".to_owned(), String::new())]);
    }

    #[test]
    fn digits_below_a_millisecond_count() {
        let second = 1_767_225_600_000;
        for (text, first, last) in [
            ("2026-01-01T00:00:00Z", second, second),
            ("2026-01-01T00:00:00.001Z", second + 1, second + 1),
            ("2026-01-01T00:00:00.0010000Z", second + 1, second + 1),
            ("2026-01-01T00:00:00.0015Z", second + 2, second + 1),
            ("2026-01-01T00:00:00.000000001Z", second + 1, second),
            ("2026-01-01T00:00", second, second),
        ] {
            let query = format!("since={text}&at_time={text}");
            let mut given = parameters(&query);
            assert_eq!(given.time_ms(parameter::SINCE).unwrap(), Some(first), "{text}");
            assert_eq!(given.at().unwrap(), Some(At::Time(last)), "{text}");
        }
    }

    #[test]
    fn addresses_must_be_decodable() {
        for (address, is_fine) in [
            ("/a/b?c=d", true),
            ("/%41%c3%bc?%C3%BC=%00", true),
            ("/100%25?a=%2525", true),
            ("/%", false),
            ("/%4", false),
            ("/%zz", false),
            ("/%+1", false),
            ("/%ff", false),
            ("/a?b=%", false),
            ("/a?b=%ff", false),
            ("/a?b=%c3", false),
            ("/a?%ed%a0%80=1", false),
        ] {
            assert_eq!(check_encoding(&address.parse().unwrap()).is_ok(), is_fine, "{address}");
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
