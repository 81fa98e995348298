//! The dead letters in `/metrics`.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::DeadLetters;
use super::folder::{Index, Items};
use crate::signal::Signal;
use crate::telemetry::metrics::{Kind, Sample, write};

/// Reads the folders' metrics when scraped.
#[derive(Debug)]
pub(super) struct DeadLetterMetrics(pub(super) DeadLetters);

impl Collector for DeadLetterMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let folders = self.0.inner.folders.lock();
        let by_destination = |value: fn(&Index) -> f64| -> Vec<Sample> {
            let sample = |name: &String| vec![("destination", name.clone())];
            folders.iter().map(|(name, folder)| (sample(name), value(&folder.index.lock()))).collect()
        };
        let by_signal = |value: fn(&Index) -> Items| -> Vec<Sample> {
            let mut samples = Vec::new();
            for (name, folder) in folders.iter() {
                let items = value(&folder.index.lock());
                for signal in Signal::ALL {
                    let labels = vec![("destination", name.clone()), ("signal", signal.name().to_owned())];
                    samples.push((labels, items.of(signal) as f64));
                }
            }
            samples
        };
        let e = &mut encoder;
        let (gauge, counter) = (Kind::Gauge, Kind::Counter);
        let number = by_destination(|index| index.count() as f64);
        write(e, gauge, "dead_letters", "Letters that a destination refused for good", number)?;
        let bytes = by_destination(|index| index.size as f64);
        write(e, gauge, "dead_letters_bytes", "What they take on disk", bytes)?;
        let dropped = by_signal(|index| index.dropped);
        write(e, counter, "dead_letters_dropped_items", "Items of letters that had to go for room", dropped)?;
        let resent = by_signal(|index| index.resent);
        write(e, counter, "dead_letters_resent_items", "Items of letters that were accepted later", resent)?;
        let deleted = by_signal(|index| index.deleted);
        write(e, counter, "dead_letters_deleted_items", "Items of letters that were dropped by hand", deleted)
    }
}
