//! Where the shop of `serve --demo` sends: the ports of its own process, with what they ask for.

use super::addresses::Opened;
use crate::demo::{Endpoint, Endpoints};
use crate::net::CredentialFiles;

/// The receivers. The shop needs all of them.
pub fn endpoints(opened: &Opened) -> anyhow::Result<Endpoints> {
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
