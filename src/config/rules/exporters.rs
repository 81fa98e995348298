//! The rules of `[exporters.NAME]`: what a type needs, what it can take, and what must be whole.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::Rules;
use crate::config::{Config, credentials};
use crate::exporters::{self, config::Kind, store};

/// The longest name of a destination.
const LONGEST_NAME: usize = 40;

impl Rules {
    /// Each destination on its own, and how many stores there are.
    pub(super) fn exporters(&mut self, config: &Config) {
        for (name, exporter) in &config.exporters {
            let section = format!("exporters.{name}");
            let mut rules = Section { rules: self, section: &section };
            rules.name(name, exporter, config);
            rules.numbers(exporter);
            rules.files(exporter);
            rules.headers(exporter);
            if let Some(kind) = exporter.kind {
                rules.kind(kind, exporter);
            } else {
                rules.broken("type", "is missing, expected \"prometheus\", \"otlp\", \"pyroscope\" or \"store\"");
            }
        }
        let stores = config.exporters.iter().filter(|(_, exporter)| exporter.is_store());
        for (name, _) in stores.skip(1) {
            self.broken(&format!("exporters.{name}.type"), "there is a store already, expected one at most");
        }
    }
}

/// The rules of one section.
struct Section<'a> {
    rules: &'a mut Rules,
    section: &'a str,
}

impl Section<'_> {
    /// A key that is not in the file is reported at its section's line.
    fn broken(&mut self, key: &str, message: impl Into<String>) {
        let key = format!("{}.{key}", self.section);
        self.rules.0.push(super::Broken { key, other: Some(self.section.to_owned()), message: message.into() });
    }

    fn name(&mut self, name: &str, exporter: &exporters::Config, config: &Config) {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) {
            let message = format!("{name:?} is no name, expected up to {LONGEST_NAME} of a-z, 0-9, \"_\" and \"-\"");
            self.rules.broken(self.section, message);
        }
        if name == store::DESTINATION && !exporter.is_store() && config.store.enabled {
            self.rules.broken(self.section, "is the name of the store itself, expected another name");
        }
    }

    fn kind(&mut self, kind: Kind, exporter: &exporters::Config) {
        let only = |kinds: &str| format!("has no meaning for type \"{}\", only for {kinds}", kind.name());
        match (&exporter.url, kind) {
            (Some(_), Kind::Store) => self.broken("url", only("the other types; a store has a socket")),
            (None, Kind::Store) => {}
            (None, _) => self.broken("url", "is missing, expected a URL such as \"http://127.0.0.1:4317\""),
            (Some(url), _) => self.url(url, exporter),
        }
        for (key, given, of) in [
            ("socket", exporter.socket.is_some(), Kind::Store),
            ("protocol", exporter.protocol.is_some(), Kind::Otlp),
            ("remote_write_path", exporter.remote_write_path.is_some(), Kind::Prometheus),
            ("otlp_path", exporter.otlp_path.is_some(), Kind::Prometheus),
        ] {
            if given && kind != of {
                self.broken(key, only(&format!("type \"{}\"", of.name())));
            }
        }
        self.signals(kind, exporter);
        let encodings = kind.encodings(exporter.protocol());
        if !encodings.contains(&exporter.compression) {
            let can: Vec<String> = encodings.iter().map(|encoding| format!("\"{}\"", encoding.name())).collect();
            let message = format!("\"{}\" is not possible here, expected {}", exporter.compression.name(), or(&can));
            self.broken("compression", message);
        }
        for (key, path) in [("remote_write_path", &exporter.remote_write_path), ("otlp_path", &exporter.otlp_path)] {
            let is_off = key == "otlp_path" && path.as_deref() == Some("");
            if let Some(path) = path
                && !is_off
                && (!path.starts_with('/') || format!("http://host{path}").parse::<http::Uri>().is_err())
            {
                self.broken(key, format!("{path:?} is not possible here, expected a path such as \"/api/v1/push\""));
            }
        }
    }

    fn signals(&mut self, kind: Kind, exporter: &exporters::Config) {
        let Some(signals) = &exporter.signals else { return };
        if kind == Kind::Store {
            self.broken("signals", "has no meaning for type \"store\", which takes all of them");
        } else if signals.is_empty() {
            self.broken("signals", "is empty, expected at least one");
        } else if let Some(signal) = signals.iter().find(|signal| !kind.takes().contains(signal)) {
            let can: Vec<String> = kind.takes().iter().map(|signal| format!("\"{signal}\"")).collect();
            let message = format!("type \"{}\" cannot take {signal}, expected {}", kind.name(), or(&can));
            self.broken("signals", message);
        }
    }

    fn url(&mut self, text: &str, exporter: &exporters::Config) {
        let plain = match url::Url::parse(text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                return self.broken("url", "has a user or a password in it, which belong in [..auth] and a file");
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                return self.broken("url", format!("{text:?} has more than a path, expected none of \"?\" and \"#\""));
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => url.scheme() == "http",
            _ => {
                let message = "is not possible here, expected a URL such as \"http://127.0.0.1:4317\"";
                return self.broken("url", format!("{text:?} {message}"));
            }
        };
        if plain && exporter.tls != exporters::config::Tls::default() {
            self.broken("tls", "has no meaning for a url with http://, expected https://");
        }
    }

    fn numbers(&mut self, exporter: &exporters::Config) {
        if exporter.timeout < Duration::from_millis(1) {
            self.broken("timeout", "0 is not possible here, expected a duration of at least 1ms");
        }
        if exporter.max_batch_size.as_u64() == 0 {
            self.broken("max_batch_size", "0 is not possible here, expected a size of at least 1B");
        }
        for (key, number) in
            [("max_batch_items", exporter.max_batch_items as usize), ("concurrency", exporter.concurrency)]
        {
            if number == 0 {
                self.broken(key, "0 is not possible here, expected at least 1");
            }
        }
    }

    fn files(&mut self, exporter: &exporters::Config) {
        let (tls, auth) = (&exporter.tls, &exporter.auth);
        if let Some(path) = exporter.socket.as_ref().filter(|path| !path.is_absolute()) {
            self.broken("socket", format!("{path:?} is not possible here, expected an absolute path"));
        }
        let files: [(&str, &Option<PathBuf>); 5] = [
            ("tls.ca_file", &tls.ca_file),
            ("tls.certificate_file", &tls.certificate_file),
            ("tls.key_file", &tls.key_file),
            ("auth.bearer_token_file", &auth.bearer_token_file),
            ("auth.password_file", &auth.password_file),
        ];
        for (key, path) in files {
            if let Some(path) = path.as_ref().filter(|path| !credentials::is_definite(path)) {
                self.broken(key, format!("{path:?} is not possible here, {}", credentials::EXPECTED));
            }
        }
        match (&tls.certificate_file, &tls.key_file) {
            (Some(_), None) => self.broken("tls.key_file", "is missing: certificate_file needs its key"),
            (None, Some(_)) => self.broken("tls.certificate_file", "is missing: key_file needs its certificate"),
            _ => {}
        }
        if let Some(name) = &tls.server_name
            && rustls::pki_types::ServerName::try_from(name.as_str()).is_err()
        {
            self.broken("tls.server_name", format!("{name:?} is not possible here, expected a host name"));
        }
        match (&auth.bearer_token_file, &auth.username, &auth.password_file) {
            (Some(_), Some(_), _) => self.broken("auth.username", "does not go with bearer_token_file: either or"),
            (Some(_), _, Some(_)) => {
                self.broken("auth.password_file", "does not go with bearer_token_file: either or");
            }
            (_, Some(_), None) => self.broken("auth.password_file", "is missing: username needs a password"),
            (_, None, Some(_)) => self.broken("auth.username", "is missing: password_file needs a user"),
            _ => {}
        }
        if auth.username.as_ref().is_some_and(|user| user.contains(':') || user.chars().any(char::is_control)) {
            // RFC 7617, section 2.
            self.broken("auth.username", "has a \":\" or a control character in it, which no user can have");
        }
    }

    fn headers(&mut self, exporter: &exporters::Config) {
        for (name, value) in &exporter.headers {
            let key = format!("headers.{name}");
            match HeaderName::try_from(name.as_str()) {
                Err(_) => self.broken(&key, format!("{name:?} is no name of a header")),
                Ok(name) if OURS.contains(&name.as_str()) => {
                    self.broken(&key, "is set by the protocol, expected another header");
                }
                Ok(name) if name == http::header::AUTHORIZATION => {
                    self.broken(&key, "is a secret, which belongs in [..auth] and a file");
                }
                Ok(_) if HeaderValue::try_from(value.as_str()).is_err() => {
                    self.broken(&key, "has characters that no header can have");
                }
                Ok(_) => {}
            }
        }
    }
}

/// Headers that the protocols set.
const OURS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-encoding",
    "grpc-timeout",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// `a, b or c`.
fn or(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
