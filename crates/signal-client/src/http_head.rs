//! The head of an HTTP answer (RFC 9112), as far as it is of use for finding out who answers. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the head of an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// When the server says that it is.
    pub(crate) date: Option<SystemTime>,
    /// Where it sends one instead.
    pub(crate) location: Option<String>,
    /// Bytes of the body, where it says so.
    pub(crate) length: Option<usize>,
}

/// The head at the beginning of what was read, and where the body begins. `None` while it is not whole, or is none.
pub(crate) fn read(bytes: &[u8]) -> Option<(Head, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split_ascii_whitespace();
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let mut head = Head { status: words.next()?.parse().ok()?, ..Head::default() };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "date" => head.date = date(value),
            "location" => head.location = Some(value.to_owned()),
            "content-length" => head.length = value.parse().ok(),
            _ => {}
        }
    }
    Some((head, end + 4))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_S: u64 = 86_400;
/// Servers before and after do not exist; more years would only be more room for nonsense.
const YEARS: std::ops::RangeInclusive<u64> = 1970..=9999;

/// A date as HTTP writes it today (IMF-fixdate, RFC 9110 section 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<SystemTime> {
    let (_, text) = text.split_once(", ")?;
    let words: Vec<&str> = text.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<u64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    if !YEARS.contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_before_year = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum::<u64>();
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = days_before_year + lengths[..month].iter().sum::<u64>() + day - 1;
    Some(UNIX_EPOCH + Duration::from_secs(days * DAY_S + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_servers_write_them() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Sun, 29 Nov 2026 12:00:00 GMT", 1_795_953_600),
        ] {
            assert_eq!(date(text), Some(UNIX_EPOCH + Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 0 Nov 1994 1:1:1 GMT"]
        {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 302 Found\r\nLOCATION: http://portal.example/\r\nContent-Length: 2\r\n\r\nno";
        let (head, body) = read(answer).unwrap();
        assert_eq!((head.status, head.location.as_deref()), (302, Some("http://portal.example/")));
        assert_eq!((head.length, &answer[body..]), (Some(2), &b"no"[..]));
        assert_eq!(read(&answer[..40]), None);
        assert_eq!(read(b"\x15\x03\x01\x00\x02\r\n\r\n"), None);
        assert_eq!(read(b"HTTP/1.1\r\n\r\n"), None);
    }
}
