//! Files that systemd gives a unit (systemd.exec(5), "Credentials"). Their folder is another one for
//! each unit, so the config names them `$CREDENTIALS_DIRECTORY/NAME`, the same for all.

use std::path::{Path, PathBuf};

use super::Config;
use super::place::variable;

/// systemd's variable, in the environment and as the config writes it.
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
const WRITTEN: &str = "$CREDENTIALS_DIRECTORY";

/// What is expected of a path, for messages.
pub const EXPECTED: &str = "expected an absolute path or $CREDENTIALS_DIRECTORY/NAME";

/// Whether the path is the same file whatever folder the program is started in.
pub fn is_definite(path: &Path) -> bool {
    path.is_absolute() || path.strip_prefix(WRITTEN).is_ok_and(|name| name != Path::new(""))
}

impl Config {
    /// Puts in the folder of this unit's credentials. Without one the paths stay as they are written,
    /// and whoever reads them says which file is missing.
    pub(super) fn find_credentials(&mut self) {
        if let Some(folder) = variable(VARIABLE) {
            self.put_credentials(&folder);
        }
    }

    fn put_credentials(&mut self, folder: &Path) {
        for file in self.security_files() {
            if let Ok(name) = file.strip_prefix(WRITTEN) {
                *file = folder.join(name);
            }
        }
    }

    /// Every certificate, key and secret that is named.
    fn security_files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let receivers = &mut self.receivers;
        let ports = [
            (&mut self.tls, &mut self.auth),
            (&mut receivers.otlp_grpc.tls, &mut receivers.otlp_grpc.auth),
            (&mut receivers.otlp_http.tls, &mut receivers.otlp_http.auth),
            (&mut receivers.remote_write.tls, &mut receivers.remote_write.auth),
            (&mut receivers.pyroscope.tls, &mut receivers.pyroscope.auth),
            (&mut self.sql.tls, &mut self.sql.auth),
            (&mut self.postgres.tls, &mut self.postgres.auth),
            (&mut self.web.tls, &mut self.web.auth),
        ];
        let of_ports = ports.into_iter().flat_map(|(tls, auth)| {
            let tls = [&mut tls.certificate_file, &mut tls.key_file, &mut tls.client_ca_file];
            tls.into_iter().chain([&mut auth.bearer_tokens_file, &mut auth.basic_users_file])
        });
        let of_exporters = self.exporters.values_mut().flat_map(|exporter| {
            let (tls, auth) = (&mut exporter.tls, &mut exporter.auth);
            let tls = [&mut tls.ca_file, &mut tls.certificate_file, &mut tls.key_file];
            tls.into_iter().chain([&mut auth.bearer_token_file, &mut auth.password_file])
        });
        of_ports.chain(of_exporters).chain([&mut self.grafana.admin_password_file]).flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::schema;
    use super::*;

    /// A key that is added is found here, too.
    #[test]
    fn every_file_may_be_a_credential() {
        let mut table = toml::Table::new();
        let mut keys = 0;
        for mut path in schema::all_keys() {
            let last = path.last().unwrap().clone();
            if !last.ends_with("_file") {
                continue;
            }
            if path[0] == "exporters" {
                path[1] = "some".to_owned();
                for (key, value) in [("type", "otlp"), ("url", "https://host")] {
                    let at = [path[..2].to_vec(), vec![key.to_owned()]].concat();
                    schema::put(&mut table, &at, toml::Value::String(value.to_owned()));
                }
            }
            schema::put(&mut table, &path, toml::Value::String(format!("$CREDENTIALS_DIRECTORY/vispyr.{last}")));
            keys += 1;
        }
        // A token and a password at once are refused; nothing else is.
        let mistakes = Config::parse(Path::new("x.toml"), &table.to_string()).unwrap_err();
        assert!(mistakes.iter().all(|mistake| mistake.message.contains("does not go with")), "{mistakes}");

        let mut config: Config = table.try_into().unwrap();
        config.put_credentials(Path::new("/run/credentials/x.service"));
        let text = toml::to_string(&config).unwrap();
        assert!(!text.contains('$'), "{text}");
        assert_eq!(text.matches("/run/credentials/x.service/vispyr.").count(), keys);
    }

    #[test]
    fn other_places_that_move_are_none() {
        for (path, definite) in [
            ("/etc/vispyr/tokens", true),
            ("$CREDENTIALS_DIRECTORY/vispyr.tokens", true),
            ("$CREDENTIALS_DIRECTORY", false),
            ("$CREDENTIALS_DIRECTORY/", false),
            ("$HOME/tokens", false),
            ("tokens", false),
        ] {
            assert_eq!(is_definite(Path::new(path)), definite, "{path}");
        }
    }
}
