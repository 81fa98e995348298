//! `[grafana]`: the dashboards beside us. Only `vispyr status` reads it, to say where they are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where Grafana is, and who may come in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grafana {
    /// Its address for people. Not set: there is none.
    pub url: Option<String>,
    /// Holds the first password of its user `admin`. Shown to those who can read the file.
    pub admin_password_file: Option<PathBuf>,
}
