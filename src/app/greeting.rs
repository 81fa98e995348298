//! The one screen that `vispyr serve` shows when it is ready: what listens where, where the data
//! is, what to try next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::addresses::Opened;
use super::{Roles, Settings};
use crate::net::PortDescriptor;

/// Listeners in the order in which they are shown, with what they are for.
pub const PORTS: [(&str, &str); 7] = [
    ("otlp_grpc", "OTLP over gRPC: traces, metrics, logs, profiles"),
    ("otlp_http", "OTLP over HTTP, protobuf or JSON"),
    ("remote_write", "Prometheus remote write, at /api/v1/write"),
    ("pyroscope", "Pyroscope profiles"),
    ("web", "the page, health, metrics: open it in a browser"),
    ("sql", "SQL over HTTP, at /api/v1/sql"),
    ("postgres", "SQL over PostgreSQL's protocol: psql, drivers, Grafana"),
];

/// Writes it to stdout. Nobody listening there is no reason to stop.
pub fn print(settings: &Settings, roles: Roles, opened: &Opened) {
    let text = text(settings, roles, opened);
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn text(settings: &Settings, roles: Roles, opened: &Opened) -> String {
    let addresses = &opened.addresses;
    let mut text = format!("Vispyr {} is ready\n\n", env!("CARGO_PKG_VERSION"));
    // Writing to a String cannot fail.
    for (name, about) in PORTS {
        if let Some(address) = addresses.get(name) {
            let descriptor = opened.descriptors.get(name).cloned().unwrap_or_default();
            let scheme = descriptor.scheme();
            let address = if name == "web" { format!("{scheme}://{address}") } else { address.to_string() };
            let _ = writeln!(text, "  {address:<24} {about}{}", protection(&descriptor));
        }
    }
    let _ = writeln!(text, "  {:<24} the data", settings.data_dir.display());
    // Under a service manager it is in the journal, where nobody is to be shown around.
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        return text;
    }
    let _ = writeln!(text, "\nTry next, in another terminal:");
    let place = place(settings);
    let mut next = |command: String, about: &str| {
        let _ = writeln!(text, "  {command}\n      {about}");
    };
    if roles.collector && !settings.demo {
        // Addresses alone do not tell of protection; the data directory does.
        let protected = opened.descriptors.values().any(|descriptor| *descriptor != PortDescriptor::default());
        let receivers = if protected { place.clone() } else { ports(addresses) };
        next(format!("vispyr demo{receivers}"), "sends the telemetry of a small make-believe shop");
    }
    if roles.store {
        let statement = "select service_name, name, count(*) from spans group by all order by 3 desc";
        next(format!("vispyr sql{place} \"{statement}\""), "asks the store");
    }
    if roles.collector {
        next(format!("vispyr status{place}"), "shows rates, lag, disk and last errors");
    }
    let _ = writeln!(text, "\nCtrl-C stops it.");
    text
}

/// How a port is protected, in brackets.
fn protection(descriptor: &PortDescriptor) -> String {
    let kinds = [
        (descriptor.tls, "TLS"),
        (descriptor.client_certificate, "client certificate"),
        (descriptor.bearer_tokens_file.is_some(), "bearer token"),
        (descriptor.basic_users_file.is_some(), "user and password"),
    ];
    let kinds: Vec<&str> = kinds.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect();
    if kinds.is_empty() { String::new() } else { format!(" [{}]", kinds.join(", ")) }
}

/// What the other commands need to find this server; nothing where they find it by themselves.
fn place(settings: &Settings) -> String {
    let default = crate::config::data_dir(None, &crate::config::Config::default());
    if default.as_deref() == Some(settings.data_dir.as_path()) { String::new() } else { option(&settings.data_dir) }
}

/// Where the demo is to send, if not to the default ports.
fn ports(addresses: &BTreeMap<&'static str, SocketAddr>) -> String {
    let default = crate::receivers::Config::default();
    let defaults = [
        ("otlp_grpc", "--otlp-grpc", default.otlp_grpc.listen),
        ("otlp_http", "--otlp-http", default.otlp_http.listen),
        ("remote_write", "--remote-write", default.remote_write.listen),
        ("pyroscope", "--pyroscope", default.pyroscope.listen),
    ];
    let moved = |name: &str, usual: SocketAddr| addresses.get(name).filter(|address| **address != usual).copied();
    defaults.iter().filter_map(|(name, option, usual)| Some(format!(" {option} {}", moved(name, *usual)?))).collect()
}

fn option(dir: &Path) -> String {
    format!(" --data-dir {}", dir.display())
}
