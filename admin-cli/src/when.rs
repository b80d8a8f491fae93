//! Times as people type and read them: UTC, to the minute; spans such as `48h` or `90d`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The last instant that has a date of four digits: spans end before it.
const LATEST: i64 = 253_402_300_799_999;

/// Now, Unix ms.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `90s`, `30m`, `48h`, `7d`, `2w` as milliseconds.
///
/// # Errors
/// The text is of another form; the message names the form.
pub fn parse_span(text: &str) -> Result<i64, String> {
    let form = || format!("{text:?} is not a span: a number and one of ms, s, m, h, d, w, e.g. 48h");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
    let number: i64 = text[..split].parse().map_err(|_| form())?;
    let unit: i64 = match &text[split..] {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return Err(form()),
    };
    number.checked_mul(unit).ok_or_else(form)
}

/// As `parse_span`, for timers.
///
/// # Errors
/// The text is of another form; the message names the form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Ok(Duration::from_millis(parse_span(text)?.unsigned_abs()))
}

/// An end: `2027-12-31` (to the end of that day, UTC), `2027-12-31T18:00:00Z`, or a span from now. Unix ms.
///
/// # Errors
/// The text is of another form; the message names the form.
pub fn parse_end(text: &str) -> Result<i64, String> {
    if let Ok(date) = text.parse::<Date>() {
        let next = date.tomorrow().map_err(|_| format!("{text:?} has no day after it: nothing is endless"))?;
        return Ok(midnight(next)? - 1);
    }
    parse_instant(text)
}

/// A beginning: a date (its first instant, UTC), an instant, or a span from now. Unix ms.
///
/// # Errors
/// The text is of another form; the message names the form.
pub fn parse_start(text: &str) -> Result<i64, String> {
    match text.parse::<Date>() {
        Ok(date) => midnight(date),
        Err(_) => parse_instant(text),
    }
}

/// A moment gone by: a date (its first instant, UTC), an instant, or a span before now. Unix ms.
///
/// # Errors
/// The text is of another form, or the moment is still to come.
pub fn parse_past(text: &str) -> Result<i64, String> {
    parse_gone_by(text, now_ms())
}

fn parse_gone_by(text: &str, now: i64) -> Result<i64, String> {
    let at = match (text.parse::<Date>(), text.parse::<Timestamp>()) {
        (Ok(date), _) => midnight(date)?,
        (_, Ok(instant)) => instant.as_millisecond(),
        _ => parse_span(text).ok().and_then(|span| now.checked_sub(span)).filter(|at| *at >= 0).ok_or_else(|| {
            format!("{text:?} is not a time: 2026-12-31, 2026-12-31T18:00:00Z, or a span before now such as 90d")
        })?,
    };
    if at > now {
        return Err(format!("{text:?} is still to come: it is {} (UTC)", show(now)));
    }
    Ok(at)
}

fn parse_instant(text: &str) -> Result<i64, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    parse_span(text).ok().and_then(|span| now_ms().checked_add(span)).filter(|at| *at <= LATEST).ok_or_else(|| {
        format!("{text:?} is not a time: 2027-12-31, 2027-12-31T18:00:00Z, or a span from now such as 90d")
    })
}

fn midnight(date: Date) -> Result<i64, String> {
    Ok(date.to_zoned(TimeZone::UTC).map_err(|e| e.to_string())?.timestamp().as_millisecond())
}

/// `2026-11-21 14:05Z`; empty for 0, `–` for "no end".
pub fn show(ms: i64) -> String {
    match ms {
        0 => String::new(),
        i64::MAX => "no end".into(),
        _ => match Timestamp::from_millisecond(ms) {
            Ok(t) => t.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%MZ").to_string(),
            Err(_) => format!("{ms} ms"),
        },
    }
}

/// RFC 3339 for programs; empty for 0.
pub fn exact(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(t) if ms != 0 && ms != i64::MAX => t.to_string(),
        _ => String::new(),
    }
}

/// The largest fitting unit: `45 s`, `12 min`, `19 h`, `23 d`.
pub fn span(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0..60_000 => format!("{} s", ms / 1_000),
        60_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// As `typed_span`, for timers.
pub fn typed_duration(span: Duration) -> String {
    typed_span(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// As it would be typed, nothing rounded away: `12h`, `90s`, `1500ms`.
pub fn typed_span(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let fits = units.into_iter().find(|(unit, _)| ms != 0 && ms % unit == 0);
    fits.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_dates_have_one_form() {
        assert_eq!(parse_span("48h"), Ok(172_800_000));
        assert_eq!(parse_span("2w"), Ok(1_209_600_000));
        for typed in ["12h", "7d", "90s", "1500ms", "0ms"] {
            assert_eq!(typed_span(parse_span(typed).unwrap()), typed);
        }
        assert!(parse_span("48").is_err() && parse_span("h").is_err() && parse_span("4 h").is_err());
        assert_eq!(parse_start("2027-12-31"), Ok(1_830_211_200_000));
        assert_eq!(parse_end("2027-12-31").map(show).unwrap(), "2027-12-31 23:59Z".to_owned());
        assert_eq!(parse_end("2027-12-31T18:00:00Z").map(exact).unwrap(), "2027-12-31T18:00:00Z");
        assert!(parse_end("31.12.2027").unwrap_err().contains("2027-12-31"));
    }

    #[test]
    fn what_is_past_is_typed_as_a_span_before_now_and_never_lies_ahead() {
        let now = 1_764_470_400_000;
        let past = |typed: &str| parse_gone_by(typed, now);
        assert_eq!((past("2d"), past("0ms")), (Ok(now - 172_800_000), Ok(now)));
        assert_eq!((past("2025-11-30"), past("2025-11-30T02:40:00Z")), (Ok(now - 9_600_000), Ok(now)));
        assert!(past("2025-12-01").unwrap_err().contains("is still to come: it is 2025-11-30 02:40Z"));
        for typed in ["2d ago", "-2d", "30.11.2025", "99999999999d", "9223372036854775807ms"] {
            assert!(past(typed).unwrap_err().contains("a span before now"), "{typed}");
        }
        for typed in ["99999999999d", "9223372036854775807ms"] {
            assert!(parse_end(typed).is_err() && parse_start(typed).is_err(), "{typed}");
        }
        assert!(parse_end("9999-12-31").unwrap_err().contains("nothing is endless"));
    }

    #[test]
    fn spans_are_read_at_a_glance() {
        assert_eq!((span(59_999), span(720_000), span(0)), ("59 s".into(), "12 min".into(), "0 s".into()));
        assert_eq!((span(19 * 3_600_000), span(19 * 86_400_000)), ("19 h".into(), "19 d".into()));
    }
}
