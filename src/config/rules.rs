//! What keys have to do with each other. Each rule has a bad file in `config/testdata`.

use super::Config;

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
    let mut broken = Vec::new();
    wal(config, &mut broken);
    log(config, &mut broken);
    broken
}

fn wal(config: &Config, broken: &mut Vec<Broken>) {
    let wal = &config.wal;
    if wal.segment_size.as_u64() == 0 {
        broken.push(Broken {
            key: "wal.segment_size".to_owned(),
            other: None,
            message: "must be more than 0".to_owned(),
        });
    }
    if wal.max_size < wal.segment_size {
        broken.push(Broken {
            key: "wal.max_size".to_owned(),
            other: Some("wal.segment_size".to_owned()),
            message: format!(
                "{} is less than one segment (wal.segment_size is {}), nothing could be kept",
                wal.max_size, wal.segment_size
            ),
        });
    }
}

fn log(config: &Config, broken: &mut Vec<Broken>) {
    if let Err(message) = config.log.filter() {
        broken.push(Broken { key: "log.level".to_owned(), other: None, message });
    }
}
