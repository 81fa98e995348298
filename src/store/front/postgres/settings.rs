//! Settings of a connection: what clients set and ask for. Few of them do anything, since answers are the same
//! for everybody: text is UTF-8, times are in UTC, nothing can be written.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{PgError, code};

/// The version of PostgreSQL whose behaviour clients are to expect.
pub const VERSION: &str = "16.6";

/// Bytes of a value that a client sets.
const LONGEST: usize = 4 << 10;

/// Settings of a name with a dot, which each client may invent.
const OWN: usize = 100;

/// What every connection starts with, and what `SHOW ALL` lists.
const DEFAULTS: &[(&str, &str)] = &[
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "on"),
    ("escape_string_warning", "on"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("jit", "off"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("row_security", "on"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", VERSION),
    ("server_version_num", "160006"),
    ("session_authorization", ""),
    ("ssl", "off"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronize_seqscans", "on"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
    ("xmloption", "content"),
];

/// Those that a client is told of at the start and when they change, as PostgreSQL writes their names.
const REPORTED: &[(&str, &str)] = &[
    ("application_name", "application_name"),
    ("client_encoding", "client_encoding"),
    ("datestyle", "DateStyle"),
    ("default_transaction_read_only", "default_transaction_read_only"),
    ("in_hot_standby", "in_hot_standby"),
    ("integer_datetimes", "integer_datetimes"),
    ("intervalstyle", "IntervalStyle"),
    ("is_superuser", "is_superuser"),
    ("search_path", "search_path"),
    ("server_encoding", "server_encoding"),
    ("server_version", "server_version"),
    ("session_authorization", "session_authorization"),
    ("standard_conforming_strings", "standard_conforming_strings"),
    ("timezone", "TimeZone"),
];

/// Those that nobody sets.
const FIXED: &[&str] = &[
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "max_identifier_length",
    "max_index_keys",
    "server_encoding",
    "server_version",
    "server_version_num",
    "ssl",
];

/// A setting as PostgreSQL writes its name.
pub fn shown_name(name: &str) -> &str {
    REPORTED.iter().find(|(known, _)| *known == name).map_or(name, |(_, shown)| shown)
}

/// See the module.
#[derive(Debug, Default)]
pub struct Settings {
    /// What differs from the defaults.
    set: BTreeMap<String, String>,
    user: String,
    /// The database that the client has named; its user if it named none.
    pub database: String,
}

/// What came of a `SET`.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    /// The name and value to report.
    pub report: Option<(&'static str, String)>,
    /// What the client should know.
    pub notice: Option<String>,
}

impl Settings {
    /// Of a user, in a database that goes by this name.
    pub fn of(user: &str, database: &str) -> Self {
        Settings { user: user.to_owned(), database: database.to_owned(), ..Settings::default() }
    }

    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        if name == "session_authorization" {
            return Some(&self.user);
        }
        let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        self.set.get(name).map(String::as_str).or_else(default)
    }

    /// All with their values.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let known = DEFAULTS.iter().map(|(name, _)| *name);
        let own = self.set.keys().map(String::as_str).filter(|name| name.contains('.'));
        known.chain(own).filter_map(|name| Some((name, self.get(name)?)))
    }

    /// Those that a client is told at the start.
    pub fn reported(&self) -> impl Iterator<Item = (&'static str, String)> {
        REPORTED.iter().filter_map(|(name, shown)| Some((*shown, self.get(name)?.to_owned())))
    }

    /// Sets one; without a value to its default.
    ///
    /// # Errors
    /// If there is no such setting, or it cannot have this value.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<Changed, PgError> {
        let known = DEFAULTS.iter().any(|(known, _)| *known == name);
        let own = self.set.keys().filter(|name| name.contains('.')).count();
        if !known && (!name.contains('.') || own >= OWN) {
            return Err(PgError::new(code::NO_SETTING, format!("unrecognized configuration parameter \"{name}\"")));
        }
        if value.is_some_and(|value| value.len() > LONGEST) {
            return Err(PgError::new(code::BAD_VALUE, format!("the value of {name} is too long")));
        }
        if FIXED.contains(&name) {
            return Err(PgError::new("55P02", format!("parameter \"{name}\" cannot be changed")));
        }
        let Some(value) = value else {
            self.set.remove(name);
            return Ok(self.changed(name, None));
        };
        let mut value = value.to_owned();
        let mut notice = None;
        match name {
            "client_encoding" => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                if !["utf8", "unicode"].contains(&plain.to_ascii_lowercase().as_str()) {
                    let message = format!("text is UTF-8 here, client_encoding cannot be \"{value}\"");
                    return Err(PgError::new(code::NOT_SUPPORTED, message));
                }
                "UTF8".clone_into(&mut value);
            }
            "timezone" if !is_utc(&value) => {
                notice = Some(format!("times are in UTC here, not in \"{value}\""));
                "UTC".clone_into(&mut value);
            }
            "datestyle" => {
                if !value.to_ascii_lowercase().contains("iso") && !value.eq_ignore_ascii_case("default") {
                    notice = Some(format!("dates are written as ISO 8601 here, not as \"{value}\""));
                }
                "ISO, MDY".clone_into(&mut value);
            }
            "intervalstyle" => "postgres".clone_into(&mut value),
            "standard_conforming_strings" if ["off", "false", "0"].contains(&value.to_ascii_lowercase().as_str()) => {
                let message = "standard_conforming_strings cannot be off";
                return Err(PgError::new(code::NOT_SUPPORTED, message));
            }
            "default_transaction_read_only" | "transaction_read_only" => "on".clone_into(&mut value),
            "statement_timeout" if duration(&value).is_none() => {
                let message = format!("invalid value for parameter \"statement_timeout\": \"{value}\"");
                return Err(PgError::new(code::BAD_VALUE, message));
            }
            "session_authorization" => return Ok(Changed { report: None, notice: None }),
            _ => {}
        }
        self.set.insert(name.to_owned(), value);
        Ok(self.changed(name, notice))
    }

    /// All have their defaults again.
    pub fn reset(&mut self) {
        self.set.clear();
    }

    /// How long a statement may run by the client's own wish.
    pub fn statement_timeout(&self) -> Option<Duration> {
        duration(self.get("statement_timeout")?).filter(|limit| !limit.is_zero())
    }

    fn changed(&self, name: &str, notice: Option<String>) -> Changed {
        let shown = REPORTED.iter().find(|(known, _)| *known == name).map(|(_, shown)| *shown);
        Changed { report: shown.and_then(|shown| Some((shown, self.get(name)?.to_owned()))), notice }
    }
}

fn is_utc(zone: &str) -> bool {
    ["utc", "etc/utc", "gmt", "z", "zulu", "universal", "+00", "00:00", "+00:00", "0"]
        .contains(&zone.to_ascii_lowercase().as_str())
}

/// Milliseconds where there is no unit.
fn duration(value: &str) -> Option<Duration> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number: u64 = value[..digits].parse().ok()?;
    let milliseconds = match value[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_set_and_reset() {
        let mut settings = Settings::of("shop", "vispyr");
        assert_eq!(settings.get("session_authorization"), Some("shop"));
        let changed = settings.set("application_name", Some("psql")).unwrap();
        assert_eq!(changed.report, Some(("application_name", "psql".to_owned())));
        assert_eq!(settings.set("application_name", None).unwrap().report, Some(("application_name", String::new())));
        assert_eq!(settings.set("extra_float_digits", Some("3")), Ok(Changed { report: None, notice: None }));
        assert_eq!(settings.set("nope", Some("3")).map_err(|error| error.code), Err("42704"));
        assert!(settings.set("own.thing", Some("3")).is_ok() && settings.all().any(|one| one == ("own.thing", "3")));
        assert_eq!(settings.set("server_version", Some("9")).map_err(|error| error.code), Err("55P02"));
        settings.reset();
        assert_eq!(settings.get("own.thing"), None);
    }

    #[test]
    fn what_cannot_be_otherwise_is_told() {
        let mut settings = Settings::of("", "");
        let zone = settings.set("timezone", Some("Europe/Berlin")).unwrap();
        assert_eq!(zone.report, Some(("TimeZone", "UTC".to_owned())));
        assert!(zone.notice.unwrap().contains("UTC here"));
        assert_eq!(settings.set("timezone", Some("Etc/UTC")).unwrap().notice, None);
        assert!(settings.set("client_encoding", Some("LATIN1")).is_err());
        assert!(settings.set("client_encoding", Some("utf-8")).is_ok());
        assert_eq!(settings.statement_timeout(), None);
        assert!(settings.set("statement_timeout", Some("2s")).is_ok());
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
        assert!(settings.set("statement_timeout", Some("soon")).is_err());
    }
}
