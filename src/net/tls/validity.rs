//! When a certificate begins and ends: the one thing of ours that goes wrong by waiting. Read from
//! its DER by hand (RFC 5280, section 4.1); a library for X.509 would be needed for nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From when to when a certificate is good, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub begin: i64,
    /// The last second.
    pub end: i64,
}

/// So long before the end a word is said.
const SOON: i64 = 14 * 24 * 3600;

impl Validity {
    /// Of a DER certificate; nothing if it is none that we can read.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        const VERSION: u8 = 0xa0;
        let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
        let (_, mut rest, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = element(rest)?.2;
        }
        // Serial number, algorithm and issuer come before.
        for _ in 0..3 {
            rest = element(rest)?.2;
        }
        let (_, validity, _) = element(rest).filter(|(tag, ..)| *tag == SEQUENCE)?;
        let (tag, begin, rest) = element(validity)?;
        let begin = seconds(tag, begin)?;
        let (tag, end, _) = element(rest)?;
        Some(Validity { begin, end: seconds(tag, end)? })
    }

    /// What an operator should know about it now, if anything.
    pub fn trouble(&self, now: SystemTime) -> Option<String> {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        let date = |seconds: i64| {
            let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            humantime::format_rfc3339_seconds(time).to_string()
        };
        if now > self.end {
            Some(format!("the certificate has expired on {}: clients will refuse it", date(self.end)))
        } else if now < self.begin {
            Some(format!("the certificate is good from {} on: until then clients will refuse it", date(self.begin)))
        } else if now > self.end - SOON {
            Some(format!("the certificate will expire on {}", date(self.end)))
        } else {
            None
        }
    }
}

/// The first element of DER: its tag, its contents, what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}

/// UTCTime (`YYMMDDHHMMSSZ`, 1950 to 2049) and GeneralizedTime (`YYYYMMDDHHMMSSZ`).
fn seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(text.len().checked_sub(10)?)?;
    let year: i64 = year.parse().ok()?;
    let year = match tag {
        0x17 if year < 50 => 2000 + year,
        0x17 => 1900 + year,
        0x18 => year,
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since the epoch, the year beginning in March (Howard Hinnant, "days_from_civil").
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * m + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_time_are_read() {
        assert_eq!(seconds(0x17, b"700101000000Z"), Some(0));
        assert_eq!(seconds(0x17, b"261123014500Z"), Some(1_795_398_300));
        assert_eq!(seconds(0x18, b"20500101000000Z"), Some(2_524_608_000));
        assert_eq!(seconds(0x18, b"20000229120000Z"), Some(951_825_600));
        for bad in
            [&b""[..], b"Z", b"2611230145Z", b"26112301450xZ", b"261123014500+0100", b"261323014500Z", b"261100014500Z"]
        {
            assert_eq!(seconds(0x17, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_real_certificate_says_when_it_ends() {
        let mut made = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        made.not_before = rcgen::date_time_ymd(2020, 2, 29);
        made.not_after = rcgen::date_time_ymd(2060, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = made.self_signed(&key).unwrap();
        let validity = Validity::of(certificate.der()).unwrap();
        assert_eq!(validity, Validity { begin: 1_582_934_400, end: 2_840_140_800 });
        for cut in 0..certificate.der().len().min(200) {
            let _ = Validity::of(&certificate.der()[..cut]);
        }
        assert_eq!(Validity::of(b"hello"), None);
    }

    #[test]
    fn trouble_is_told_before_it_is_there() {
        let validity = Validity { begin: 1000, end: 1000 + 100 * 24 * 3600 };
        let at = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds as u64);
        assert!(validity.trouble(at(0)).is_some_and(|text| text.contains("good from 1970-01-01T00:16:40Z")));
        assert_eq!(validity.trouble(at(2000)), None);
        assert!(validity.trouble(at(validity.end - 1)).is_some_and(|text| text.contains("will expire")));
        assert!(validity.trouble(at(validity.end + 1)).is_some_and(|text| text.contains("has expired")));
    }
}
