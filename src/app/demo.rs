//! The demo inside of `serve --demo`. It sends to the ports of its own process, as any other sender
//! does, with what they ask for.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::addresses::Opened;
use crate::demo::{self, Endpoint, Endpoints};
use crate::net::CredentialFiles;

/// How much of the past the demo sends first.
const HISTORY: Duration = Duration::from_secs(3600);

/// Prepares the demo; what is returned sends until `shutdown`.
///
/// # Errors
/// A receiver that it needs is not enabled, or asks for a client certificate.
pub fn open(opened: &Opened, shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    // Other traces at each start: those of the start before are still there, and the same ids would join them.
    let seed = rand::random();
    let config = demo::Config { endpoints: endpoints(opened)?, history: HISTORY, seed, ..demo::Config::default() };
    Ok(async move {
        match demo::run(config, shutdown).await {
            Ok(_) => tracing::info!("the demo has ended"),
            Err(error) => tracing::error!(%error, "the demo cannot start"),
        }
    })
}

/// The receivers. The demo needs all of them.
fn endpoints(opened: &Opened) -> anyhow::Result<Endpoints> {
    let at = |name: &str| {
        let (Some(address), Some(descriptor)) = (opened.addresses.get(name), opened.descriptors.get(name)) else {
            anyhow::bail!("--demo needs receivers.{name}, which is not enabled");
        };
        anyhow::ensure!(
            !descriptor.client_certificate,
            "--demo has no client certificate to show to receivers.{name}; start it apart: vispyr demo \
             --certificate-file FILE --key-file FILE"
        );
        let files = descriptor.complete(&CredentialFiles::default());
        Ok(Endpoint { address: address.to_string(), tls: descriptor.tls, files })
    };
    Ok(Endpoints {
        otlp_grpc: at("otlp_grpc")?,
        otlp_http: at("otlp_http")?,
        remote_write: at("remote_write")?,
        pyroscope: at("pyroscope")?,
    })
}
