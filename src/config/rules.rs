//! What keys have to do with each other, and what their types cannot say. Each rule has a bad
//! file in `config/testdata`.

mod exporters;

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;

use super::{Config, credentials};

/// The shortest time that makes sense where something waits for it.
pub const SHORTEST: Duration = Duration::from_millis(1);

/// A rule that a config breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The key to change.
    pub key: String,
    /// The key that it does not go with.
    pub other: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Compares the keys of a config.
pub fn check(config: &Config) -> Vec<Broken> {
    let mut rules = Rules::default();
    rules.addresses(config);
    rules.sizes(config);
    rules.more_than_nothing(config);
    rules.paths(config);
    rules.protection(config);
    rules.exporters(config);
    if let Err(message) = config.log.filter() {
        rules.broken("log.level", message);
    }
    rules.0
}

#[derive(Default)]
struct Rules(Vec<Broken>);

impl Rules {
    fn broken(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(Broken { key: key.to_owned(), other: None, message: message.into() });
    }

    /// No two parts on one port. Port 0 is a free one each time.
    fn addresses(&mut self, config: &Config) {
        let ports = config.ports();
        for (n, port) in ports.iter().enumerate() {
            if let Some(other) = ports[..n].iter().find(|other| clash(port.listen, other.listen)) {
                let (section, taken) = (other.section, other.listen);
                self.0.push(Broken {
                    key: format!("{}.listen", port.section),
                    other: Some(format!("{section}.listen")),
                    message: format!("{} clashes with {section}.listen, which is {taken}", port.listen),
                });
            }
        }
    }

    /// What must fit into something else.
    fn sizes(&mut self, config: &Config) {
        let (wal, admission) = (&config.wal, &config.admission);
        let mut fits = |key: &str, size: ByteSize, other: &str, into: ByteSize, consequence: &str| {
            if size > into {
                self.0.push(Broken {
                    key: key.to_owned(),
                    other: Some(other.to_owned()),
                    message: format!("{size} is more than {other}, which is {into}: {consequence}"),
                });
            }
        };
        let nothing_kept = "not one segment could be kept";
        fits("wal.segment_size", wal.segment_size, "wal.max_size", wal.max_size, nothing_kept);
        let never_taken = "a request of that size could never be taken";
        let (request, budget) = (admission.max_request_size, admission.memory_budget);
        fits("admission.max_request_size", request, "admission.memory_budget", budget, never_taken);
    }

    /// What cannot be 0.
    fn more_than_nothing(&mut self, config: &Config) {
        let admission = &config.admission;
        for (key, size) in [
            ("admission.max_request_size", admission.max_request_size),
            ("admission.memory_budget", admission.memory_budget),
            ("wal.segment_size", config.wal.segment_size),
            ("wal.max_size", config.wal.max_size),
            ("dead_letters.max_size", config.dead_letters.max_size),
            ("store.memory_limit", config.store.memory_limit),
            ("store.merge_memory", config.store.merge_memory),
            ("sql.memory_limit", config.sql.memory_limit),
            ("sql.max_statement", config.sql.max_statement),
        ] {
            if size.as_u64() == 0 {
                self.broken(key, "0 is not possible here, expected a size of at least 1B");
            }
        }
        let share = config.store.merge_share;
        if !(0.01..=1.0).contains(&share) {
            self.broken("store.merge_share", format!("{share} is not possible here, expected a number from 0.01 to 1"));
        }
        for (key, time) in [
            ("admission.header_timeout", admission.header_timeout),
            ("admission.idle_body_timeout", admission.idle_body_timeout),
            ("admission.request_timeout", admission.request_timeout),
            ("admission.keep_alive_timeout", admission.keep_alive_timeout),
            ("store.seal_interval", config.store.seal_interval),
            ("sql.time_limit", config.sql.time_limit),
        ] {
            if time < SHORTEST {
                self.broken(key, "0 is not possible here, expected a duration of at least 1ms");
            }
        }
        self.retention(config);
        for (key, number) in [
            ("admission.max_connections", admission.max_connections),
            ("admission.max_streams", admission.max_streams as usize),
            ("sql.concurrency", config.sql.concurrency),
            ("sql.max_rows", usize::try_from(config.sql.max_rows).unwrap_or(usize::MAX)),
            ("store.threads", config.store.threads.unwrap_or(1) as usize),
        ] {
            if number == 0 {
                self.broken(key, "0 is not possible here, expected at least 1");
            }
        }
    }

    /// Everything would be dropped as soon as it comes.
    fn retention(&mut self, config: &Config) {
        let retention = &config.store.retention;
        for (section, max_age, max_size) in [
            ("", Some(retention.max_age), retention.max_size),
            (".traces", retention.traces.max_age, retention.traces.max_size),
            (".metrics", retention.metrics.max_age, retention.metrics.max_size),
            (".logs", retention.logs.max_age, retention.logs.max_size),
            (".profiles", retention.profiles.max_age, retention.profiles.max_size),
        ] {
            if max_age.is_some_and(|age| age < Duration::from_secs(60)) {
                let message = "nothing would be kept, expected a duration of at least 1m";
                self.broken(&format!("store.retention{section}.max_age"), message);
            }
            if max_size.is_some_and(|size| size.as_u64() < 1 << 20) {
                let message = "nothing would be kept, expected a size of at least 1MiB";
                self.broken(&format!("store.retention{section}.max_size"), message);
            }
        }
    }

    /// What other machines can reach is protected, and each protection is complete.
    fn protection(&mut self, config: &Config) {
        for port in config.ports() {
            if let Some(why) = port.unprotected() {
                self.broken(&format!("{}.listen", port.section), why);
            }
        }
        for (section, tls, auth) in config.security_sections() {
            let key = |name: &str| format!("{section}{name}");
            for (name, path, without, goes_with) in [
                ("tls.certificate_file", &tls.certificate_file, tls.key_file.is_none(), "tls.key_file"),
                ("tls.key_file", &tls.key_file, tls.certificate_file.is_none(), "tls.certificate_file"),
                ("tls.client_ca_file", &tls.client_ca_file, tls.certificate_file.is_none(), "tls.certificate_file"),
                ("auth.bearer_tokens_file", &auth.bearer_tokens_file, false, ""),
                ("auth.basic_users_file", &auth.basic_users_file, false, ""),
            ] {
                let Some(path) = path else { continue };
                if without {
                    self.broken(&key(name), format!("this does nothing without {}", key(goes_with)));
                }
                if !credentials::is_definite(path) {
                    self.broken(&key(name), format!("{path:?} is not possible here, {}", credentials::EXPECTED));
                }
            }
            if tls.enabled == Some(true) && !tls.is_on() {
                let what = "certificate_file and key_file";
                self.broken(&key("tls.enabled"), format!("there is no {what} to enable it with"));
            }
            if auth.enabled == Some(true) && !auth.is_on() {
                let what = "bearer_tokens_file or basic_users_file";
                self.broken(&key("auth.enabled"), format!("there is no {what} to enable it with"));
            }
        }
    }

    /// Paths are the same whatever folder the program is started in.
    fn paths(&mut self, config: &Config) {
        for (key, path) in [
            ("data_dir", &config.data_dir),
            ("store.dir", &config.store.dir),
            ("store.socket_dir", &config.store.socket_dir),
        ] {
            if let Some(path) = path.as_ref().filter(|path| !path.is_absolute()) {
                self.broken(key, format!("{path:?} is not possible here, expected an absolute path"));
            }
        }
    }
}

/// Whether both cannot listen: the same port, and the same address or one of them is all addresses.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let all = |address: SocketAddr| address.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || all(a) || all(b))
}
