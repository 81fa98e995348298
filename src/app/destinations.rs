//! What `vispyr check` says of the destinations: whether their files are good, and, if it is asked
//! to connect, whether somebody answers there.

use crate::exporters::Exporters;
use crate::exporters::destination::Destination;
use crate::exporters::outcome::Outcome;
use crate::signal::Format;

/// Reads the files that the destinations name, and with `connect` sends each an empty request of
/// every signal that it gets. What is wrong, by key. Blocks.
pub fn check_destinations(exporters: &Exporters, connect: bool) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let mut built = Vec::new();
    for (name, config) in exporters.iter().filter(|(_, config)| !config.is_store()) {
        match Destination::new(config) {
            Ok(destination) => built.push((name, config, destination)),
            Err(error) => wrong.push((format!("exporters.{name}"), error.to_string())),
        }
    }
    if !connect {
        return wrong;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![("exporters".to_owned(), format!("cannot connect: {error}"))],
    };
    for (name, config, destination) in built {
        for signal in config.signals() {
            let reason = match runtime.block_on(destination.probe(signal, Format::Otlp)) {
                Outcome::Accepted { .. } => continue,
                Outcome::Later { reason, .. } => format!("takes no {signal}: {reason}"),
                Outcome::Refused { reason } => {
                    format!("refuses even a request without any {signal} in it, so that it will refuse all: {reason}")
                }
            };
            wrong.push((format!("exporters.{name}.url"), reason));
            // The other signals go the same way.
            break;
        }
    }
    wrong
}
