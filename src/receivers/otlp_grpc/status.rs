//! gRPC status as clients read it. RetryInfo goes twice: most clients read it from
//! `grpc-status-details-bin`, Python's only from `google.rpc.retryinfo-bin`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::pb;

use super::{ACCEPT_ENCODING, Refusal, Reply};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const RETRY_INFO: HeaderName = HeaderName::from_static("google.rpc.retryinfo-bin");

/// Success, with this framed message.
pub(super) fn ok(message: Bytes) -> Response<Reply> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Reply::with_trailers(message, trailers));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, GRPC);
    headers.insert(GRPC_ACCEPT_ENCODING, ACCEPT_ENCODING);
    response
}

/// A refusal, as headers alone.
pub(super) fn refused(refusal: &Refusal) -> Response<Reply> {
    let (code, message) = (refusal.code(), refusal.to_string());
    let Some(delay) = refusal.retry_after() else { return trailers_only(Status::new(code, message)) };
    let retry = pb::RetryInfo { retry_delay: prost_types::Duration::try_from(delay).ok() }.encode_to_vec();
    let details = pb::Status {
        code: code as i32,
        message: message.clone(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: retry.clone(),
        }],
    };
    let mut response = trailers_only(Status::with_details(code, message, details.encode_to_vec().into()));
    if let Ok(retry) = HeaderValue::try_from(STANDARD_NO_PAD.encode(retry)) {
        response.headers_mut().insert(RETRY_INFO, retry);
    }
    response
}

/// A method that does not exist here.
pub(super) fn unimplemented(message: &str) -> Response<Reply> {
    trailers_only(Status::new(Code::Unimplemented, message))
}

/// Something asked for does not exist here.
pub(super) fn not_found(message: &str) -> Response<Reply> {
    trailers_only(Status::new(Code::NotFound, message))
}

fn trailers_only(status: Status) -> Response<Reply> {
    let mut response = status.into_http::<Reply>();
    response.headers_mut().insert(GRPC_ACCEPT_ENCODING, ACCEPT_ENCODING);
    response
}
