use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderValue;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn kind(outcome: &Outcome) -> Option<Later> {
    match outcome {
        Outcome::Later { kind, .. } => Some(*kind),
        _ => None,
    }
}

#[test]
fn every_http_status_has_its_outcome() {
    for (status, want) in [
        (400, None),
        (413, None),
        (415, None),
        (422, None),
        (409, None),
        (401, Some(Later::Misconfigured)),
        (403, Some(Later::Misconfigured)),
        (404, Some(Later::Misconfigured)),
        (405, Some(Later::Misconfigured)),
        (301, Some(Later::Misconfigured)),
        (408, Some(Later::Busy)),
        (429, Some(Later::Busy)),
        (500, Some(Later::ServerError)),
        (502, Some(Later::ServerError)),
        (503, Some(Later::Unavailable)),
        (504, Some(Later::ServerError)),
        (599, Some(Later::ServerError)),
        (511, Some(Later::Misconfigured)),
    ] {
        let outcome = Outcome::of_http(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), b"why");
        assert_eq!(kind(&outcome), want, "{status}");
        match outcome {
            Outcome::Refused { reason } | Outcome::Later { reason, .. } => {
                assert!(reason.contains(&status.to_string()) && reason.ends_with(": why"), "{reason}");
            }
            Outcome::Accepted { .. } => panic!("{status}"),
        }
    }
    let asked = headers(&[("retry-after", "7")]);
    for (status, want) in [
        (429, Later::Busy),
        (502, Later::Busy),
        (503, Later::Busy),
        (504, Later::Busy),
        // Some say so with every 5xx, also where the request is what they fail over.
        (500, Later::ServerError),
        (599, Later::ServerError),
    ] {
        let outcome = Outcome::of_http(StatusCode::from_u16(status).unwrap(), &asked, b"");
        let Outcome::Later { after, kind, .. } = outcome else { panic!("{status}: {outcome:?}") };
        assert_eq!((after, kind), (Some(Duration::from_secs(7)), want), "{status}");
    }
}

#[test]
fn every_grpc_status_has_its_outcome() {
    for (code, want) in [
        (Code::InvalidArgument, None),
        (Code::FailedPrecondition, None),
        (Code::AlreadyExists, None),
        (Code::Cancelled, Some(Later::Unavailable)),
        (Code::DeadlineExceeded, Some(Later::Unavailable)),
        (Code::Aborted, Some(Later::Unavailable)),
        (Code::OutOfRange, Some(Later::Busy)),
        (Code::ResourceExhausted, Some(Later::Exhausted)),
        (Code::Unavailable, Some(Later::Unavailable)),
        (Code::Internal, Some(Later::ServerError)),
        (Code::Unknown, Some(Later::ServerError)),
        (Code::DataLoss, Some(Later::ServerError)),
        (Code::Unauthenticated, Some(Later::Misconfigured)),
        (Code::PermissionDenied, Some(Later::Misconfigured)),
        (Code::Unimplemented, Some(Later::Misconfigured)),
        (Code::NotFound, Some(Later::Misconfigured)),
    ] {
        let number = (code as i32).to_string();
        let outcome = Outcome::of_grpc(&headers(&[("grpc-status", &number), ("grpc-message", "no%20way%")]));
        assert_eq!(kind(&outcome), want, "{code:?}");
        if let Outcome::Refused { reason } | Outcome::Later { reason, .. } = outcome {
            assert!(reason.ends_with(": no way%"), "{reason}");
        }
    }
    assert_eq!(kind(&Outcome::of_grpc(&HeaderMap::new())), Some(Later::ServerError), "no status at all");
}

#[test]
fn retry_info_is_read_with_and_without_padding() {
    let info = pb::RetryInfo { retry_delay: Some(prost_types::Duration { seconds: 2, nanos: 500_000_000 }) };
    let any = |url: &str, value| prost_types::Any { type_url: url.to_owned(), value };
    let details = vec![
        any("type.googleapis.com/google.rpc.DebugInfo", Vec::new()),
        any("type.googleapis.com/google.rpc.RetryInfo", info.encode_to_vec()),
    ];
    let status = pb::Status { code: 8, message: String::new(), details }.encode_to_vec();
    for text in [STANDARD.encode(&status), STANDARD_NO_PAD.encode(&status)] {
        let outcome = Outcome::of_grpc(&headers(&[("grpc-status", "8"), ("grpc-status-details-bin", &text)]));
        let want = Some(Duration::from_millis(2500));
        assert!(matches!(outcome, Outcome::Later { after, kind: Later::Busy, .. } if after == want), "{outcome:?}");
    }
}

#[test]
fn a_date_is_a_wait() {
    let date = |from_now: i64| {
        let at = SystemTime::now() + Duration::from_secs(1000);
        let at = if from_now < 0 { at - Duration::from_secs(2000) } else { at };
        retry_after(&headers(&[("retry-after", &httpdate::fmt_http_date(at))]))
    };
    assert!(date(1).is_some_and(|wait| wait.as_secs() > 990 && wait.as_secs() <= 1000));
    assert_eq!(date(-1), Some(Duration::ZERO));
    assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
}

#[test]
fn an_explanation_is_one_line_of_bounded_length() {
    let protobuf = headers(&[("content-type", "application/x-protobuf")]);
    let status = pb::Status { code: 3, message: "bad\n  span".to_owned(), details: Vec::new() };
    assert_eq!(explanation(&protobuf, &status.encode_to_vec()), "bad span");
    let json = headers(&[("content-type", "application/json; charset=utf-8")]);
    assert_eq!(explanation(&json, br#"{"code":"invalid_argument","message":"no labels"}"#), "no labels");
    let long = explanation(&HeaderMap::new(), "é".repeat(3000).as_bytes());
    assert!(long.len() <= LONGEST_REASON + 3 && long.ends_with("..."), "{}", long.len());
    assert_eq!(explanation(&HeaderMap::new(), b"\xff"), "\u{fffd}");
}

#[test]
fn what_is_no_grpc_answer_is_never_a_refusal() {
    let of = |status: u16| Outcome::of_foreign(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), b"");
    assert_eq!(kind(&of(400)), Some(Later::ServerError));
    assert_eq!(kind(&of(404)), Some(Later::Misconfigured));
    assert_eq!(kind(&of(200)), Some(Later::Misconfigured));
    assert_eq!(kind(&of(503)), Some(Later::Unavailable));
}

#[test]
fn a_web_page_is_no_success() {
    let of = |status: u16, kind: &str, body: &[u8]| {
        let headers = headers(&[("content-type", kind)]);
        Outcome::of_success(StatusCode::from_u16(status).unwrap(), &headers, body)
    };
    for status in [200, 201, 202, 203, 204, 206] {
        assert_eq!(of(status, "application/json", b"{}"), Outcome::ACCEPTED, "{status}");
        assert_eq!(of(status, "text/plain", b""), Outcome::ACCEPTED, "{status}");
        assert_eq!(of(status, "text/html", b""), Outcome::ACCEPTED, "nothing is no page");
        assert_eq!(kind(&of(status, "text/html; charset=utf-8", b"Log in")), Some(Later::Misconfigured), "{status}");
        assert_eq!(kind(&of(status, "", b" \n<!DOCTYPE html><p>")), Some(Later::Misconfigured), "{status}");
    }
    for status in [205, 207, 226] {
        assert_eq!(kind(&of(status, "", b"")), Some(Later::Misconfigured), "{status}");
    }
}
