//! Times from text and numbers, in every unit, zone and format.

use super::*;
use crate::codec::json;
use crate::codec::yaml;
use crate::diagnostic::Diagnostic;
use proptest::prelude::*;
use std::path::Path;

/// The broker's timestamp of the tests' records: 2026-01-01.
const RECORD_MS: Option<i64> = Some(1_767_225_600_000);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    unit: Option<yaml::Located<Unit>>,
    zone: Option<yaml::Located<String>>,
    format: Option<yaml::Located<String>>,
    ambiguous: Option<yaml::Located<Ambiguous>>,
}

fn reader(options: &str) -> Result<TimeReader, Vec<Diagnostic>> {
    let file = Path::new("m.yaml");
    let form = yaml::parse::<Form>(file, &format!("{{{options}}}")).unwrap().remove(0);
    let Form { unit, zone, format, ambiguous } = form;
    let options = TimeOptions {
        unit: unit.as_ref(),
        zone: zone.as_ref(),
        format: format.as_ref(),
        ambiguous: ambiguous.as_ref(),
    };
    options.reader(file)
}

/// The time of a JSON value, or the message of its refusal.
fn read(options: &str, value: &str) -> Result<String, String> {
    let value = json::parse(value.as_bytes()).unwrap();
    let time = reader(options).unwrap().value(&value, RECORD_MS);
    time.map(|time| time.to_string()).map_err(|error| error.to_string())
}

fn check(options: &str, value: &str, expected: &str) {
    assert_eq!(read(options, value).as_deref(), Ok(expected), "{{{options}}} {value}");
}

fn refused(options: &str, value: &str, expected: &str) {
    let message = read(options, value).expect_err(value);
    assert!(message.contains(expected), "{{{options}}} {value}: {message}");
}

#[test]
fn texts_with_an_offset() {
    for (text, time) in [
        ("2017-01-04T13:11:33.601+02", "2017-01-04T11:11:33.601Z"),
        ("2017-01-04T13:11:33.601+02:00", "2017-01-04T11:11:33.601Z"),
        ("2017-01-04t11:11:33.601z", "2017-01-04T11:11:33.601Z"),
        ("2017-01-04 11:11:33.601Z", "2017-01-04T11:11:33.601Z"),
        ("2017-01-04T05:41:33.601-0530", "2017-01-04T11:11:33.601Z"),
        ("2018-04-05T03:56:24Z", "2018-04-05T03:56:24.000Z"),
        ("2026-01-01T00:00:00,123Z", "2026-01-01T00:00:00.123Z"),
        ("20260101T000000Z", "2026-01-01T00:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
        ("2026-01-01T01:00:00.123+01:00[Europe/Berlin]", "2026-01-01T00:00:00.123Z"),
        ("2026-07-01T02:00:00+02:00[Europe/Berlin]", "2026-07-01T00:00:00.000Z"),
        ("2026-01-01T00:00:00Z[Europe/Berlin]", "2026-01-01T00:00:00.000Z"),
        ("2026-01-01T01:00:00[Europe/Berlin]", "2026-01-01T00:00:00.000Z"),
    ] {
        check("", &format!("\"{text}\""), time);
        // An offset in the text says more than the zone of the place.
        check("zone: Asia/Tokyo", &format!("\"{text}\""), time);
    }
}

#[test]
fn digits_below_a_millisecond_are_kept() {
    for (options, value, time) in [
        ("", r#""2024-02-29T00:00:00.123456789Z""#, "2024-02-29T00:00:00.123456789Z"),
        ("", r#""2024-02-29T00:00:00.123456Z""#, "2024-02-29T00:00:00.123456Z"),
        ("", r#""2024-02-29T00:00:00.123400Z""#, "2024-02-29T00:00:00.123400Z"),
        ("", r#""1969-12-31T23:59:59.9999Z""#, "1969-12-31T23:59:59.999900Z"),
        ("", "1767225600000.5", "2026-01-01T00:00:00.000500Z"),
        ("unit: s", "1767225600.123456", "2026-01-01T00:00:00.123456Z"),
        ("unit: us", "1767225600000001", "2026-01-01T00:00:00.000001Z"),
        ("unit: ns", "1767225600000000001", "2026-01-01T00:00:00.000000001Z"),
    ] {
        check(options, value, time);
    }
    refused("unit: s", "1767225600.1234567891", "digits below a nanosecond");
    refused("unit: ns", "1767225600000000000.5", "digits below a nanosecond");
    let time = reader("").unwrap().text("1969-12-31T23:59:59.9999Z", None).unwrap();
    assert_eq!((time.ms(), time.below_ms_ns()), (-1, 900_000));
    assert_eq!(SentTime::new(-1, 900_000), Some(time));
}

#[test]
fn numbers_in_their_unit() {
    let time = "2026-01-01T00:00:00.000Z";
    for (unit, number) in [
        ("s", "1767225600"),
        ("s", "1767225600.0"),
        ("s", "1.7672256e9"),
        ("s", "17672256E+2"),
        ("ms", "1767225600000"),
        ("us", "1767225600000000"),
        ("ns", "1767225600000000000"),
    ] {
        for options in [format!("unit: {unit}"), "unit: auto".to_owned()] {
            check(&options, number, time);
            check(&options, &format!("\"{number}\""), time);
        }
    }
    check("", "1767225600000", time);
    check("", r#""1767225600000""#, time);
    check("", "1767225600000.0", time);
    check("", "1.7672256e12", time);
    check("unit: s", "1767225600.25", "2026-01-01T00:00:00.250Z");
    // A unit that is said is believed.
    check("unit: ms", "1767225600", "1970-01-21T10:53:45.600Z");
    check("unit: s", "0", "1970-01-01T00:00:00.000Z");
    check("unit: s", "-0.5", "1969-12-31T23:59:59.500Z");
    check("unit: s", r#""2026-01-01T00:00:00Z""#, time);
}

#[test]
fn a_number_that_makes_no_sense_names_the_option() {
    for (number, unit) in [
        ("1767225600", "`s` it is 2026-01-01T00:00:00.000Z"),
        ("1767225600.25", "`s` it is 2026-01-01T00:00:00.250Z"),
        ("1767225600000000", "`us` it is 2026-01-01"),
        ("1767225600000000000", "`ns` it is 2026-01-01"),
        ("0", ""),
        ("-1", ""),
        ("20260101", ""),
        ("123456789012345678901234567890", ""),
    ] {
        for value in [number.to_owned(), format!("\"{number}\"")] {
            refused("", &value, "the option `unit`");
            refused("", &value, unit);
        }
    }
    refused("", r#""1e400000""#, "the option `unit`");
    refused("unit: auto", "5", "not a plausible time");
    refused("unit: s", "1e30", "outside the years");
    refused("unit: s", r#""1e99999""#, "outside the years");
    refused("unit: ns", "-9223372036854775809000000000000000", "outside the years");
    refused("", r#""9999-12-31T23:59:59Z""#, "outside the years");
    refused("zone: UTC", r#""9999-12-31T23:59:59-23:00""#, "outside the years");
    check("", r#""9999-12-30T22:00:00Z""#, "9999-12-30T22:00:00.000Z");
    refused("unit: s", "true", "a boolean is not a time");
    refused("unit: s", "[1]", "an array is not a time");
}

#[test]
fn the_record_says_until_when_a_number_makes_sense() {
    let year = MAX_PLAUSIBLE_AHEAD_MS;
    let (Some(record), text) = (RECORD_MS, |ms: i64| ms.to_string()) else { panic!() };
    let reader = TimeReader::default();
    for (ms, record_ms, taken) in [
        (EARLIEST_PLAUSIBLE_TIME_MS, RECORD_MS, true),
        (EARLIEST_PLAUSIBLE_TIME_MS - 1, RECORD_MS, false),
        (record + year, RECORD_MS, true),
        (record + year + 1, RECORD_MS, false),
        (record + year + 1, None, true),
        (LATEST_PLAUSIBLE_TIME_MS + 1, None, false),
        // A record's timestamp that is itself wrong says nothing.
        (record, Some(0), true),
        (record, Some(-1), true),
        (record, Some(i64::MAX), true),
        (record, Some(i64::MIN), true),
    ] {
        let time = reader.number(&text(ms), record_ms);
        assert_eq!(time.is_ok(), taken, "{ms} {record_ms:?} {time:?}");
    }
}

#[test]
fn local_times_follow_their_zone() {
    for (zone, text, time) in [
        ("Europe/Berlin", "2026-01-01T01:00:00", "2026-01-01T00:00:00.000Z"),
        ("Europe/Berlin", "2026-07-01 02:00:00.5", "2026-07-01T00:00:00.500Z"),
        ("Europe/Berlin", "2026-03-29 01:30:00", "2026-03-29T00:30:00.000Z"),
        ("Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29T01:00:00.000Z"),
        ("Asia/Shanghai", "2026-03-29 16:09:56", "2026-03-29T08:09:56.000Z"),
        ("+08:00", "2026-03-29 16:09:56", "2026-03-29T08:09:56.000Z"),
        ("UTC", "2026-03-29 16:09:56", "2026-03-29T16:09:56.000Z"),
        ("America/New_York", "2026-03-08T03:30:00", "2026-03-08T07:30:00.000Z"),
    ] {
        check(&format!("zone: '{zone}'"), &format!("\"{text}\""), time);
    }
    let berlin = "zone: Europe/Berlin";
    refused(berlin, r#""2026-03-29T02:30:00""#, "does not exist in Europe/Berlin");
    refused(berlin, r#""2026-10-25T02:30:00""#, "happens twice in Europe/Berlin");
    let twice = r#""2026-10-25T02:30:00""#;
    check("zone: Europe/Berlin, ambiguous: earlier", twice, "2026-10-25T00:30:00.000Z");
    check("zone: Europe/Berlin, ambiguous: later", twice, "2026-10-25T01:30:00.000Z");
    refused("zone: Europe/Berlin, ambiguous: later", r#""2026-03-29T02:30:00""#, "does not exist");
    refused("", r#""2026-10-25T02:30:00[Europe/Berlin]""#, "happens twice");
    for text in ["2026-01-01T00:00:00", "2026-01-01 00:00:00"] {
        refused("", &format!("\"{text}\""), "lacks an offset from UTC");
        refused("", &format!("\"{text}\""), "`zone: Europe/Berlin`");
        assert!(parse(text).unwrap_err().to_string().contains("lacks an offset"));
    }
}

#[test]
fn an_offset_must_fit_the_zone_behind_it() {
    let wrong = "an offset that Europe/Berlin does not have";
    refused("", r#""2026-07-01T01:00:00+01:00[Europe/Berlin]""#, wrong);
    refused("", r#""2026-01-01T01:00:00+05:00[Europe/Berlin]""#, wrong);
    refused("", r#""2026-01-01T01:00:00+01:00[Europe/Berln]""#, "an unknown time zone");
}

#[test]
fn formats_of_strptime() {
    for (options, value, time) in [
        ("format: '%d.%m.%Y %H:%M', zone: Europe/Berlin", r#""01.07.2026 02:00""#, "2026-07-01T00"),
        ("format: '%Y/%m/%d %T%.f %z'", r#""2026/01/01 02:00:00.25 +0200""#, "2026-01-01T00"),
        ("format: '%s'", r#""1767225600""#, "2026-01-01T00"),
        ("format: '%Y%m%d%H%M%S', zone: UTC", "20260101000000", "2026-01-01T00"),
        ("format: '%Y%m%d', zone: UTC", r#""20260101""#, "2026-01-01T00"),
        ("format: '%a, %d %b %Y %T GMT', zone: UTC", r#""Thu, 01 Jan 2026 00:00:00 GMT""#, "2026"),
    ] {
        let read = read(options, value).expect(options);
        assert!(read.starts_with(time), "{options} {value} {read}");
    }
    let format = "format: '%Y-%m-%d %H:%M', zone: Europe/Berlin";
    refused(format, r#""yesterday""#, "in the format `%Y-%m-%d %H:%M`");
    refused(format, r#""2026-03-29 02:30""#, "does not exist");
    refused(format, r#""2026-02-30 02:30""#, "in the format");
}

#[test]
fn a_zone_in_the_text_follows_its_clocks() {
    let format = "format: '%Y-%m-%d %H:%M:%S %Q'";
    let (skipped, twice) =
        (r#""2026-03-29 02:30:00 Europe/Berlin""#, r#""2026-10-25 02:30:00 Europe/Berlin""#);
    check(format, r#""2026-07-01 02:00:00 Europe/Berlin""#, "2026-07-01T00:00:00.000Z");
    check(format, r#""2026-07-01 02:00:00 +0200""#, "2026-07-01T00:00:00.000Z");
    refused(format, skipped, "does not exist in Europe/Berlin");
    refused(format, twice, "happens twice in Europe/Berlin");
    refused(format, r#""2026-07-01 02:00:00 Europe/Berln""#, "Europe/Berln");
    // The zone in the text says more than the zone of the place.
    for zone in ["", ", zone: Asia/Tokyo"] {
        let with = |ambiguous| format!("{format}{zone}, ambiguous: {ambiguous}");
        check(&with("earlier"), twice, "2026-10-25T00:30:00.000Z");
        check(&with("later"), twice, "2026-10-25T01:30:00.000Z");
        refused(&with("later"), skipped, "does not exist in Europe/Berlin");
    }
    let both = "format: '%Y-%m-%d %H:%M:%S %z %Q'";
    check(both, r#""2026-10-25 02:30:00 +0100 Europe/Berlin""#, "2026-10-25T01:30:00.000Z");
    refused(both, r#""2026-07-01 02:30:00 +0100 Europe/Berlin""#, "an offset that Europe/Berlin");
}

#[test]
fn seconds_since_1970_keep_their_fraction() {
    for (value, time) in [
        ("1767225600.25", "2026-01-01T00:00:00.250Z"),
        ("1767225600.123456789", "2026-01-01T00:00:00.123456789Z"),
        ("-1.5", "1969-12-31T23:59:58.500Z"),
        ("0.5", "1970-01-01T00:00:00.500Z"),
    ] {
        for fraction in ["%s.%f", "%s%.f"] {
            check(&format!("format: '{fraction}'"), &format!("\"{value}\""), time);
        }
    }
    check("format: '%s'", r#""-5""#, "1969-12-31T23:59:55.000Z");
    refused("format: '%s.%f'", r#""-0.5""#, "is ambiguous");
}

#[test]
fn a_run_of_digits_must_be_complete() {
    for (format, text, expected) in [
        ("%Y%m%d%H%M%S", "20260101123005", Some("2026-01-01T12:30:05.000Z")),
        ("%Y%m%d%H%M%S", "2026010112300", None),
        ("%Y%m%d%H%M%S.%f", "20260101123005.5", Some("2026-01-01T12:30:05.500Z")),
        ("%Y%m%d%H%M%S.%f", "2026010112300.5", None),
        ("%d.%m.%Y %H%M", "1.2.2026 1230", Some("2026-02-01T12:30:00.000Z")),
        ("%d.%m.%Y %H%M", "1.2.2026 123", None),
        ("%y%j", "26032", Some("2026-02-01T00:00:00.000Z")),
        ("%y%j", "2632", None),
        // With something between them the numbers are told apart.
        ("%d.%m.%Y %H:%M", "1.2.2026 1:3", Some("2026-02-01T01:03:00.000Z")),
    ] {
        let options = format!("format: '{format}', zone: UTC");
        match expected {
            Some(time) => check(&options, &format!("\"{text}\""), time),
            None => refused(&options, &format!("\"{text}\""), "digits"),
        }
    }
}

#[test]
fn a_leap_second_ends_a_day() {
    for (options, text, expected) in [
        ("", "2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59.000Z")),
        ("", "2017-01-01T00:59:60+01:00", Some("2016-12-31T23:59:59.000Z")),
        ("", "20161231T235960Z", Some("2016-12-31T23:59:59.000Z")),
        ("", "1969-12-31T23:59:60.5Z", Some("1969-12-31T23:59:59.500Z")),
        ("", "2016-12-31T23:58:60Z", None),
        ("", "2016-12-31T12:30:60.5Z", None),
        ("", "2016-12-31T23:59:60+01:00", None),
        ("", "20161231T123060Z", None),
        ("", "2016-12-31T12:30:60+01:00[Europe/Berlin]", None),
        ("zone: Europe/Berlin", "2017-01-01 00:59:60", Some("2016-12-31T23:59:59.000Z")),
        ("zone: Europe/Berlin", "2016-12-31 23:59:60", None),
        ("format: '%F %T', zone: UTC", "2016-12-31 23:59:60", Some("2016-12-31T23:59:59.000Z")),
        ("format: '%F %T', zone: UTC", "2016-12-31 23:58:60", None),
        ("format: '%F %T', zone: UTC", "2060-12-31 23:58:60", None),
        ("format: '%F %T', zone: UTC", "2060-12-31 23:58:59", Some("2060-12-31T23:58:59.000Z")),
    ] {
        match expected {
            Some(time) => check(options, &format!("\"{text}\""), time),
            None => refused(options, &format!("\"{text}\""), "leap seconds"),
        }
    }
    assert!(parse("2016-12-31T23:59:60Z").is_ok());
    assert!(parse("2016-12-31T12:59:60Z").is_err());
}

#[test]
fn offsets_are_within_a_day_and_years_those_of_rfc_3339() {
    check("", r#""2026-01-01T23:59:00+23:59""#, "2026-01-01T00:00:00.000Z");
    check("", r#""0000-01-01T00:00:00Z""#, "0000-01-01T00:00:00.000Z");
    for text in ["2026-01-01T00:00:00+25:00", "2026-01-01 00:00:00-24", "20260101T000000+2400"] {
        refused("", &format!("\"{text}\""), "is not a time");
        assert!(parse(text).is_err(), "{text}");
    }
    refused("format: '%F %T %z'", r#""2026-01-01 00:00:00 +2500""#, "is not a time");
    for text in ["-002026-01-01T00:00:00Z", "0000-01-01T00:00:00+01:00", "-000001-12-31T23:59:59Z"]
    {
        refused("", &format!("\"{text}\""), "outside the years 0 to 9999");
        assert!(parse(text).is_err(), "{text}");
    }
    refused("unit: s", "-62167219201", "outside the years 0 to 9999");
    check("unit: s", "-62167219200", "0000-01-01T00:00:00.000Z");
    assert_eq!(format(-62_167_219_200_001), None);
    assert!(reader("zone: '+25:00'").is_err());
}

#[test]
fn options_are_checked() {
    for (options, message, help) in [
        ("zone: Europe/Berln", "no time zone `Europe/Berln`", "`Europe/Berlin`?"),
        ("zone: ''", "no time zone ``", "write a zone as"),
        ("unit: s, format: '%s'", "`unit` is for numbers", "remove one"),
        ("format: '%Y-%m-%d %H:%M'", "has no offset", "`zone`"),
        ("format: '%H:%M', zone: UTC", "does not yield a date", "strptime"),
        ("format: '%!', zone: UTC", "the format `%!`", "strptime"),
    ] {
        let diagnostics = reader(options).expect_err(options);
        assert_eq!(diagnostics.len(), 1, "{options}");
        assert!(diagnostics[0].message.contains(message), "{options}: {}", diagnostics[0]);
        assert!(diagnostics[0].help.contains(help), "{options}: {}", diagnostics[0]);
    }
    assert!(reader("format: '%Y-%m-%dT%H:%M%:z'").is_ok());
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "",
        "now",
        "2017-01-04",
        "2017-02-29T00:00:00Z",
        "2017-01-04T24:00:00Z",
        "2017-01-04T13:11:33+99:00",
        "2017-01-04T13:11:33Z ",
        "021",
        "+5",
        "NaN",
    ] {
        refused("zone: UTC", &format!("\"{text}\""), "is not a time");
        assert!(parse(text).is_err(), "{text}");
    }
    let long = reader("").unwrap().text(&"9".repeat(1_000_000), None).unwrap_err().to_string();
    assert!(long.len() < 300, "{long}");
}

#[test]
fn whole_milliseconds_for_people() {
    assert_eq!(parse("2017-01-04T13:11:33.601+02"), Ok(1_483_528_293_601));
    assert_eq!(parse("2017-01-04T13:11:33.601000Z"), Ok(1_483_535_493_601));
    let error = parse("2017-01-04T13:11:33.6011Z").unwrap_err();
    assert!(matches!(error, TimeError::BelowMilliseconds(_)), "{error}");
    assert!(parse("1483528293601").is_err());
    assert_eq!(format(1_483_528_293_601).as_deref(), Some("2017-01-04T11:11:33.601Z"));
    assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
    assert_eq!(format(i64::MAX), None);
    assert_eq!(format(i64::MIN), None);
}

proptest! {
    #[test]
    fn there_and_back(ms in -62_135_596_800_000_i64..253_402_207_200_000, below in 0_u32..1_000_000) {
        prop_assert_eq!(parse(&format(ms).unwrap()), Ok(ms));
        let time = SentTime::new(ms, below).unwrap();
        let reader = TimeReader { unit: Some(Unit::Ns), ..TimeReader::default() };
        prop_assert_eq!(reader.text(&time.to_string(), None), Ok(time));
        let ns = i128::from(ms) * 1_000_000 + i128::from(below);
        prop_assert_eq!(reader.number(&ns.to_string(), None), Ok(time));
        prop_assert_eq!((time.ms(), time.below_ms_ns()), (ms, below));
    }

    #[test]
    fn units_agree(seconds in 700_000_000_i64..1_790_000_000, fraction in 0_u32..1_000) {
        let text = format!("{seconds}.{fraction:03}");
        let s = TimeReader { unit: Some(Unit::S), ..TimeReader::default() }.number(&text, RECORD_MS);
        let ms = (seconds * 1_000 + i64::from(fraction)).to_string();
        prop_assert_eq!(TimeReader::default().number(&ms, RECORD_MS), s.clone());
        let auto = TimeReader { unit: Some(Unit::Auto), ..TimeReader::default() };
        prop_assert_eq!(auto.number(&text, RECORD_MS), s.clone());
        prop_assert_eq!(auto.number(&ms, RECORD_MS), s);
    }

    #[test]
    fn any_text_is_judged(text in "\\PC*", date in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,+Z\\[\\]A-z/-]{0,40}") {
        let zoned = reader("zone: Europe/Berlin").unwrap();
        for text in [text, date] {
            let _ = parse(&text);
            let _ = zoned.text(&text, RECORD_MS);
        }
    }
}
