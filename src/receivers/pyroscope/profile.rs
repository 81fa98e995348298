//! Whether a body of `/ingest` is the profile that it claims to be.

use crate::receivers::admission::Reservation;
use crate::receivers::compression::inflated;
use crate::receivers::refusal::Refusal;
use crate::signal::Compression;
use crate::wire;
use crate::wire::ingest::ProfileFormat;
use crate::wire::ingest::multipart::{self, Part};

/// Longest folded line: Pyroscope stops reading at one that is longer, without a word.
const MAX_LINE: usize = 64 << 10;

/// Bytes of the labels beside a recording, unpacked: read they take many times as much.
const MAX_LABELS: usize = 4 << 20;

const GZIP: &[u8] = &[0x1f, 0x8b];

/// Checks a body, after its content encoding is undone. What is gzipped within counts against
/// `limit` too.
pub(super) fn check(
    format: ProfileFormat,
    content_type: &str,
    body: &[u8],
    limit: usize,
    room: &mut Reservation,
) -> Result<(), Refusal> {
    if body.is_empty() {
        return Err(malformed("the body is empty"));
    }
    let form = multipart::is_form(content_type);
    match format {
        ProfileFormat::Pprof if form => {
            let parts = parts(content_type, body)?;
            if parts.iter().any(|part| part.name == "prev_profile") {
                return Err(malformed("field prev_profile is not taken: send each profile whole"));
            }
            if let Some(config) = find(&parts, "sample_type_config") {
                serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(config)
                    .map_err(|error| malformed(&format!("field sample_type_config: {error}")))?;
            }
            pprof(required(&parts, "profile")?, limit, room)
        }
        ProfileFormat::Pprof => pprof(body, limit, room),
        ProfileFormat::Jfr if form => {
            let parts = parts(content_type, body)?;
            plain(find(&parts, "labels").unwrap_or_default(), limit.min(MAX_LABELS), room, |labels| {
                let labels = wire::jfr::labels::LabelsSnapshot::parse(labels);
                labels.map(drop).map_err(|error| malformed(&format!("field labels: {error}")))
            })?;
            jfr(required(&parts, "jfr")?, limit, room)
        }
        ProfileFormat::Jfr => jfr(body, limit, room),
        ProfileFormat::Groups => folded(body, true),
        ProfileFormat::Lines => folded(body, false),
        ProfileFormat::Speedscope => plain(body, limit, room, |file| {
            wire::speedscope::check(file).map_err(|error| malformed(&error.to_string()))
        }),
    }
}

fn malformed(problem: &str) -> Refusal {
    Refusal::Malformed(problem.to_owned())
}

fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, Refusal> {
    multipart::parts(content_type, body).map_err(|error| malformed(&format!("multipart body: {error}")))
}

fn find<'a>(parts: &[Part<'a>], name: &str) -> Option<&'a [u8]> {
    parts.iter().find(|part| part.name == name).map(|part| part.data)
}

fn required<'a>(parts: &[Part<'a>], name: &str) -> Result<&'a [u8], Refusal> {
    find(parts, name).filter(|data| !data.is_empty()).ok_or_else(|| {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        malformed(&format!("multipart body: no field {name:?}, there are {names:?}"))
    })
}

/// A pprof, gzipped or not.
pub(super) fn pprof(bytes: &[u8], limit: usize, room: &mut Reservation) -> Result<(), Refusal> {
    plain(bytes, limit, room, |profile| {
        wire::check_pprof(profile).map_err(|error| malformed(&format!("pprof: {error}")))?;
        Ok(())
    })
}

/// Undoes gzip if it is there.
fn plain(
    bytes: &[u8],
    limit: usize,
    room: &mut Reservation,
    look: impl FnOnce(&[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let compression = if bytes.starts_with(GZIP) { Compression::Gzip } else { Compression::Identity };
    inflated(compression, bytes, limit, room, |plain, _| look(plain))
}

/// A flight recording, gzipped or not.
fn jfr(bytes: &[u8], limit: usize, room: &mut Reservation) -> Result<(), Refusal> {
    plain(bytes, limit, room, |recording| {
        wire::jfr::check(recording).map_err(|error| malformed(&format!("jfr: {error}")))
    })
}

/// Lines of `frame;frame;frame`, with a count after the last space where `counted`.
fn folded(body: &[u8], counted: bool) -> Result<(), Refusal> {
    for (n, line) in body.split(|&b| b == b'\n').enumerate() {
        let line = line.trim_ascii_end();
        let problem = if line.is_empty() {
            continue;
        } else if line.len() > MAX_LINE {
            format!("{} bytes, at most {MAX_LINE} are taken", line.len())
        } else if counted && count(line).is_none() {
            "no count after the last space".to_owned()
        } else {
            continue;
        };
        return Err(malformed(&format!("folded stacks: line {}: {problem}", n + 1)));
    }
    Ok(())
}

fn count(line: &[u8]) -> Option<u64> {
    let at = line.iter().rposition(|&b| b == b' ')?;
    std::str::from_utf8(&line[at + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::receivers::admission::{Admission, Config};

    fn run(format: ProfileFormat, body: &[u8]) -> Result<(), String> {
        let admission = Arc::new(Admission::new(Config::default()));
        check(format, "", body, 1 << 20, &mut admission.reservation()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn folded_stacks_need_a_count_unless_each_line_is_one() {
        assert_eq!(run(ProfileFormat::Groups, b"main;a b;c 12\n\nmain 3\r\n"), Ok(()));
        assert_eq!(run(ProfileFormat::Lines, b"main;a\nmain"), Ok(()));
        assert!(run(ProfileFormat::Groups, b"main 1\nmain;x\n").is_err_and(|e| e.contains("line 2: no count")));
        assert!(run(ProfileFormat::Groups, b"main -1").is_err());
        let long = [vec![b'a'; MAX_LINE + 1], b" 1".to_vec()].concat();
        assert!(run(ProfileFormat::Groups, &long).is_err_and(|e| e.contains("at most 65536")));
    }

    #[test]
    fn recordings_are_whole_chunks_that_can_be_read() {
        let recording = wire::jfr::testing::shop("cpu");
        assert_eq!(run(ProfileFormat::Jfr, &recording), Ok(()));
        assert_eq!(run(ProfileFormat::Jfr, &recording.repeat(2)), Ok(()));
        assert!(run(ProfileFormat::Jfr, &recording[..99]).is_err_and(|e| e.contains("cut off")));
        assert!(run(ProfileFormat::Jfr, b"PK").is_err_and(|e| e.contains("no chunk begins at byte 0")));
        let mut chunk = b"FLR\0\0\x02\0\0".to_vec();
        chunk.extend(100u64.to_be_bytes());
        chunk.resize(100, 0);
        assert!(run(ProfileFormat::Jfr, &chunk).is_err_and(|e| e.contains("the constants are outside of the chunk")));
    }

    #[test]
    fn speedscope_has_frames_and_profiles() {
        assert_eq!(run(ProfileFormat::Speedscope, br#"{"shared":{"frames":[]},"profiles":[],"x":1}"#), Ok(()));
        assert!(run(ProfileFormat::Speedscope, br#"{"shared":{"frames":[]},"profiles":[{}]}"#).is_err());
        assert!(run(ProfileFormat::Speedscope, br#"{"profiles":[]}"#).is_err_and(|e| e.contains("shared")));
        let deep = format!("{{\"shared\":{}", "[".repeat(100_000));
        assert!(run(ProfileFormat::Speedscope, deep.as_bytes()).is_err());
    }
}
