//! One line of `kcat -J`: a record as a JSON object.

use crate::codec::json::{self, Value};
use crate::event::is_topic;

/// A record as a line has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<String>,
    pub(super) payload: Option<String>,
    pub(super) headers: Vec<(String, Option<String>)>,
}

/// Reads a line, or says what it lacks.
pub(super) fn parse(bytes: &[u8]) -> Result<Line, String> {
    let value = json::parse(bytes).map_err(|error| error.to_string())?;
    let Value::Object(mut object) = value else {
        return Err("the line is not a JSON object; `kcat -C -J` writes one per line".to_owned());
    };
    let mut take = |name: &str| object.remove(name).unwrap_or(Value::Null);
    let topic = text(take("topic"), "topic")?.filter(|topic| is_topic(topic));
    let partition = take("partition").as_u64().and_then(|partition| u32::try_from(partition).ok());
    // The greatest is kept for "after the last".
    let offset = take("offset").as_u64().filter(|offset| *offset < u64::MAX);
    Ok(Line {
        topic: topic.ok_or("`topic` is missing or not a topic name")?,
        partition: partition.ok_or("`partition` is missing or not a partition number")?,
        offset: offset.ok_or("`offset` is missing or not an offset")?,
        timestamp_ms: timestamp(&take("ts"))?,
        key: text(take("key"), "key")?,
        payload: text(take("payload"), "payload")?,
        headers: headers(take("headers"))?,
    })
}

fn text(value: Value, name: &str) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        _ => Err(format!("`{name}` is neither a string nor null")),
    }
}

fn timestamp(value: &Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        value => match value.as_i64() {
            Some(-1) => Ok(None), // Kafka's way to say that there is none
            Some(ms) => Ok(Some(ms)),
            None => Err("`ts` is not an integer of milliseconds".to_owned()),
        },
    }
}

/// Names and values after one another in one array.
fn headers(value: Value) -> Result<Vec<(String, Option<String>)>, String> {
    let wrong = || "`headers` is not an array of alternating names and values".to_owned();
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => return Err(wrong()),
    };
    if list.len() % 2 != 0 {
        return Err(wrong());
    }
    let mut list = list.into_iter();
    let mut headers = Vec::with_capacity(list.len() / 2);
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        let name = text(name, "headers")?.ok_or_else(wrong)?;
        headers.push((name, text(value, "headers")?));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_kcat() {
        let line = br#"{"topic":"t","partition":2,"offset":7,"tstype":"create","ts":15,"broker":1,"headers":["a","1","b",null],"key":"k","payload":"{\"d\":1}"}"#;
        let expected = Line {
            topic: "t".to_owned(),
            partition: 2,
            offset: 7,
            timestamp_ms: Some(15),
            key: Some("k".to_owned()),
            payload: Some(r#"{"d":1}"#.to_owned()),
            headers: vec![("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)],
        };
        assert_eq!(parse(line), Ok(expected));
        let least = parse(br#"{"topic":"t","partition":0,"offset":0,"ts":-1,"payload":null}"#);
        let least = least.unwrap();
        assert_eq!((least.timestamp_ms, least.key, least.payload), (None, None, None));
    }

    #[test]
    fn other_lines_say_what_they_lack() {
        let table: [(&[u8], &str); 14] = [
            (b"", "no JSON value"),
            (b"\xff", "not UTF-8"),
            (b"[]", "not a JSON object"),
            (b"{}", "`topic`"),
            (br#"{"topic":"a b"}"#, "`topic`"),
            (br#"{"topic":1}"#, "`topic` is neither a string nor null"),
            (br#"{"topic":"t"}"#, "`partition`"),
            (br#"{"topic":"t","partition":-1}"#, "`partition`"),
            (br#"{"topic":"t","partition":0,"offset":-1}"#, "`offset`"),
            (br#"{"topic":"t","partition":0,"offset":18446744073709551615}"#, "`offset`"),
            (br#"{"topic":"t","partition":0,"offset":0,"ts":"x"}"#, "`ts`"),
            (br#"{"topic":"t","partition":0,"offset":0,"payload":{}}"#, "`payload`"),
            (br#"{"topic":"t","partition":0,"offset":0,"headers":["a"]}"#, "`headers`"),
            (br#"{"topic":"t","topic":"t"}"#, "twice"),
        ];
        for (line, expected) in table {
            let message = parse(line).unwrap_err();
            assert!(message.contains(expected), "{}: {message}", String::from_utf8_lossy(line));
        }
    }
}
