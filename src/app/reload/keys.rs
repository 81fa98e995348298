//! A config as a list of keys, to say which have changed, and which of those take effect at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::app::Roles;
use crate::config::Config;
use crate::web::Setting;

/// Keys by their dotted names, with the values that are in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    values: BTreeMap<String, Value>,
    roles: Roles,
}

/// The names of keys that have another value now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// In effect at once.
    pub now: Vec<String>,
    /// In effect after the next start.
    pub later: Vec<String>,
}

impl Keys {
    /// The keys of a config that is in effect for these roles.
    pub fn of(config: &Config, roles: Roles) -> Self {
        Keys { values: values(config), roles }
    }

    /// The keys that mean anything to this process, for people. Headers may hold a token, so their values
    /// are not shown; all other secrets are in files.
    pub fn show(&self) -> Vec<Setting> {
        let shown = self.values.iter().filter(|(key, _)| concerns(key, self.roles));
        shown
            .map(|(key, value)| Setting {
                key: key.clone(),
                value: (!key.contains(".headers.")).then(|| value.to_string()),
            })
            .collect()
    }

    /// Another config takes effect, as far as that is possible. What is not stays in the account:
    /// the next one is compared with what really runs.
    pub fn change_to(&mut self, config: &Config) -> Difference {
        let new = values(config);
        let names: BTreeSet<String> = self.values.keys().chain(new.keys()).cloned().collect();
        let mut difference = Difference::default();
        for name in names {
            if self.values.get(&name) == new.get(&name) || !concerns(&name, self.roles) {
                continue;
            }
            if !at_once(&name) {
                difference.later.push(name);
                continue;
            }
            match new.get(&name) {
                Some(value) => self.values.insert(name.clone(), value.clone()),
                None => self.values.remove(&name),
            };
            difference.now.push(name);
        }
        difference
    }
}

/// Whether a key means anything to a process of these roles.
fn concerns(name: &str, roles: Roles) -> bool {
    let of_collector = ["receivers.", "admission.", "wal.", "exporters.", "dead_letters.", "web."];
    roles.collector || !of_collector.iter().any(|section| name.starts_with(section))
}

/// Whether a key can change while everything runs.
fn at_once(name: &str) -> bool {
    let whole = ["exporters.", "admission.", "dead_letters.", "tls.", "auth."];
    whole.iter().any(|section| name.starts_with(section))
        || name.contains(".tls.")
        || name.contains(".auth.")
        || name.ends_with(".allow_unprotected")
}

fn values(config: &Config) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    // A config is made of what serde can write; if not, no key is known to have changed.
    flatten(String::new(), serde_json::to_value(config).unwrap_or_default(), &mut found);
    found
}

fn flatten(name: String, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(section) => {
            for (key, value) in section {
                flatten(if name.is_empty() { key } else { format!("{name}.{key}") }, value, found);
            }
        }
        // Not set, as good as not there.
        Value::Null => {}
        value => {
            found.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(Path::new("x.toml"), text).unwrap()
    }

    #[test]
    fn what_takes_effect_at_once_and_what_does_not() {
        let mut keys = Keys::of(&config(""), Roles::SERVE);
        assert_eq!(keys.change_to(&config("")), Difference::default());
        let new = config(
            "[wal]\nmax_size = \"1GiB\"\n[admission]\nmemory_budget = \"80MiB\"\n[log]\nlevel = \"warn\"\n\
             [dead_letters]\nmax_size = \"1MiB\"\n[auth]\nbearer_tokens_file = \"/t\"\n[web.auth]\nbearer_tokens_file = \"/w\"\n\
             [exporters.tempo]\ntype = \"otlp\"\nurl = \"http://127.0.0.1:4417\"\nsignals = [\"traces\"]\n",
        );
        let difference = keys.change_to(&new);
        assert_eq!(difference.later, ["log.level", "wal.max_size"]);
        for name in [
            "admission.memory_budget",
            "auth.bearer_tokens_file",
            "web.auth.bearer_tokens_file",
            "dead_letters.max_size",
            "exporters.tempo.url",
        ] {
            assert!(difference.now.iter().any(|now| now == name), "{name}: {difference:?}");
        }
        // The same once more: what waits for a start still does.
        let again = keys.change_to(&new);
        assert_eq!((again.now.len(), again.later), (0, vec!["log.level".to_owned(), "wal.max_size".to_owned()]));
        let back = keys.change_to(&config(""));
        assert_eq!(back.later, [""; 0], "as it runs");
        assert_eq!(back.now, difference.now);
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let text = "[exporters.o]\ntype = \"otlp\"\nurl = \"http://127.0.0.1:1\"\n\
                    [exporters.o.headers]\nx-token = \"hush\"\n[exporters.o.auth]\nbearer_token_file = \"/t\"\n";
        let mut keys = Keys::of(&config(text), Roles::SERVE);
        let value = |keys: &Keys, key: &str| {
            let found = keys.show().into_iter().find(|setting| setting.key == key);
            found.map(|setting| setting.value)
        };
        assert_eq!(value(&keys, "exporters.o.headers.x-token"), Some(None));
        assert_eq!(value(&keys, "exporters.o.url"), Some(Some("\"http://127.0.0.1:1\"".to_owned())));
        assert_eq!(value(&keys, "exporters.o.auth.bearer_token_file"), Some(Some("\"/t\"".to_owned())));
        assert!(!format!("{:?}", keys.show()).contains("hush"));
        // What takes effect only later is not in force.
        keys.change_to(&config("[wal]\nmax_size = \"1GiB\"\n"));
        assert_ne!(value(&keys, "wal.max_size"), Some(Some("\"1.0 GiB\"".to_owned())));
        assert_eq!(value(&keys, "exporters.o.url"), None);
    }

    #[test]
    fn a_store_does_not_care_for_what_is_the_collectors() {
        let mut keys = Keys::of(&config(""), Roles::STORE);
        let difference = keys.change_to(&config("[wal]\nmax_size = \"1GiB\"\n[sql]\nmax_rows = 5\n"));
        assert_eq!((difference.now.len(), difference.later), (0, vec!["sql.max_rows".to_owned()]));
    }
}
