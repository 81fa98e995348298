//! Our own log: to the journal with its fields when systemd has connected us to it, in colour to
//! a terminal, as plain lines otherwise, as JSON when asked. Always to stderr, as stdout is for
//! what a command answers.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::journal::FieldsInMessage;
use super::recent::Recent;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The journal, a terminal or plain text, whichever stderr is.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Its name in the config and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Text => "text",
            Format::Json => "json",
        }
    }
}

/// Settings of the log (`[log]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`; also by module:
    /// `info,vispyr::wal=debug`.
    pub level: String,
    /// How a line looks.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Self {
        Config { level: "info".to_owned(), format: Format::Auto }
    }
}

impl Config {
    /// The level as a filter, or what is wrong with it.
    pub fn filter(&self) -> Result<EnvFilter, String> {
        let wrong = || {
            format!(
                "{:?} is no level, expected \"error\", \"warn\", \"info\", \"debug\", \"trace\" or \"off\", \
                 also by module such as \"info,vispyr::wal=debug\"",
                self.level
            )
        };
        // A bare word that is no level would pass as the name of a module.
        let words = self.level.split(',').map(str::trim);
        let bare = words.filter(|word| !word.contains('=') && !word.contains("::"));
        if self.level.trim().is_empty() || bare.into_iter().any(|word| word.parse::<LevelFilter>().is_err()) {
            return Err(wrong());
        }
        EnvFilter::try_new(&self.level).map_err(|_| wrong())
    }
}

/// Starts the log of this process; its last warnings and errors are kept. The second call of a
/// process changes nothing.
pub fn start(config: &Config) -> Result<Recent, String> {
    let filter = config.filter()?;
    let recent = Recent::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        Format::Json => lines.json().flatten_event(true).boxed(),
        Format::Auto if stderr_is_journal() => match tracing_journald::layer() {
            Ok(journal) => FieldsInMessage(journal).boxed(),
            Err(_) => lines.with_ansi(false).boxed(),
        },
        Format::Auto | Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    let recent_layer = recent.clone().with_filter(LevelFilter::WARN);
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).with(recent_layer).try_init();
    Ok(recent)
}

/// Whether stderr is the journal's stream: `JOURNAL_STREAM` holds its device and inode
/// (systemd.exec(5)), and is inherited by children whose stderr is another.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}
