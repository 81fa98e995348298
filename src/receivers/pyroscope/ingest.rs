//! `POST /ingest`: one profile, described by the query.

use std::borrow::Cow;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use url::form_urlencoded;

use super::{NAME, profile, refused};
use crate::receivers::Pipeline;
use crate::receivers::ingest::{self, Check, Checked, Deadline, Ingest, Tally};
use crate::receivers::otlp_http::content_encoding;
use crate::receivers::refusal::Refusal;
use crate::receivers::reply::{self, Reply};
use crate::signal::{Format, Meta, Signal, now_nanos};
use crate::wire::ingest::Parameters;

/// Answers one request: 200 with nothing, since Go's client takes 204 for an error.
pub(super) async fn handle(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    let tally = Tally::new(&pipeline.telemetry, NAME, Signal::Profiles).of(&request);
    match accept(request, pipeline, tally).await {
        Ok(()) => reply::empty(StatusCode::OK),
        Err(refusal) => refused(&refusal, status(&refusal)),
    }
}

/// As Pyroscope has it: a wrong parameter is 400, a wrong profile 422.
fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        other => other.http(),
    }
}

async fn accept(request: Request<Incoming>, pipeline: &Pipeline, tally: Tally) -> Result<(), Refusal> {
    let deadline = Deadline::ours(pipeline);
    let limit = ingest::limit(pipeline);
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let meta = Meta {
        query: without_spaces(request.uri().query().unwrap_or_default()).into_owned(),
        content_type: String::from_utf8_lossy(content_type).into_owned(),
    };
    let known = content_encoding(request.headers()).and_then(|compression| {
        let parameters = Parameters::parse(&meta.query, &meta.content_type, now_nanos());
        let parameters = parameters.map_err(|error| Refusal::BadParameter(error.to_string()))?;
        Ok((compression, parameters))
    });
    let ((compression, parameters), received, tally) =
        ingest::receive(known, request.into_body(), limit, deadline, pipeline, tally).await?;
    let check = check(parameters, meta.content_type.clone(), limit);
    let ingest = Ingest { signal: Signal::Profiles, format: Format::PyroscopeIngest, compression, limit, meta, check };
    ingest::take(pipeline, received, ingest, deadline, tally).await.map(|_| ())
}

/// Puts `_` for spaces within the name of the application. Pyroscope refuses them, so that agents
/// whose application has a name for people would lose its profiles.
fn without_spaces(query: &str) -> Cow<'_, str> {
    let pairs = || form_urlencoded::parse(query.as_bytes());
    let app = |name: &str| name.split('{').next().unwrap_or_default().trim().to_owned();
    if !pairs().any(|(key, value)| key == "name" && app(&value).contains(' ')) {
        return Cow::Borrowed(query);
    }
    let mut plain = form_urlencoded::Serializer::new(String::new());
    for (key, value) in pairs() {
        let app = app(&value);
        if key == "name" {
            let labels = value.find('{').map_or("", |at| &value[at..]);
            plain.append_pair(&key, &format!("{}{labels}", app.replace(' ', "_")));
        } else {
            plain.append_pair(&key, &value);
        }
    }
    Cow::Owned(plain.finish())
}

fn check(parameters: Parameters, content_type: String, limit: usize) -> Check {
    Box::new(move |decoded, room| {
        profile::check(parameters.format, &content_type, decoded, limit, room)?;
        Ok(Checked { items: 1, ..Checked::default() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_the_name_of_an_application_become_underscores() {
        assert_eq!(without_spaces("name=my+shop%20app{a=b c}&from=1"), "name=my_shop_app%7Ba%3Db+c%7D&from=1");
        for same in ["name=shop{a=b+c}&x=%20", "name=+shop+{a=b}", "from=1", ""] {
            assert_eq!(without_spaces(same), same);
        }
    }
}
