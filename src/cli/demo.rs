//! `vispyr demo`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::Place;
use super::server::{Shown, reachable};
use crate::app;
use crate::demo::{self, Config, Endpoint, Endpoints};
use crate::telemetry::log;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requests a second to the shop, the mean of a day: evenings have more than mornings. A
    /// request makes about 8 spans
    #[arg(long, default_value_t = 10.0, value_name = "REQUESTS_PER_SECOND")]
    rate: f64,
    /// How long to send; until Ctrl-C if not given
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    duration: Option<Duration>,
    /// Send the data of so much of the past first, for example 3h
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s", value_name = "TIME")]
    history: Duration,
    /// Of the dice; another one if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Where the receivers are, on their default ports [default: those of the server that runs on
    /// the data directory, else 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    #[command(flatten)]
    place: Place,
    /// The OTLP gRPC receiver, HOST:PORT or https://HOST:PORT [default: port 4317 of the host]
    #[arg(long, value_name = "ADDRESS")]
    otlp_grpc: Option<String>,
    /// The OTLP HTTP receiver [default: port 4318 of the host]
    #[arg(long, value_name = "ADDRESS")]
    otlp_http: Option<String>,
    /// The remote write receiver [default: port 9090 of the host]
    #[arg(long, value_name = "ADDRESS")]
    remote_write: Option<String>,
    /// The Pyroscope receiver [default: port 9999 of the host]
    #[arg(long, value_name = "ADDRESS")]
    pyroscope: Option<String>,
    /// Print the account at the end as JSON
    #[arg(long)]
    json: bool,
    /// The receivers on --host speak TLS
    #[arg(long)]
    tls: bool,
    #[command(flatten)]
    shown: Shown,
}

impl Args {
    fn config(&self) -> Config {
        Config {
            endpoints: self.endpoints(),
            rate: self.rate,
            duration: self.duration,
            history: self.history,
            seed: self.seed.unwrap_or_else(rand::random),
        }
    }

    /// Those given; else the named host's; else what a server on the data directory has written
    /// down.
    fn endpoints(&self) -> Endpoints {
        let data_dir = match &self.host {
            Some(_) => None,
            None => self.place.settings().ok().map(|settings| settings.data_dir),
        };
        let running = data_dir.as_deref().and_then(app::read_addresses).unwrap_or_default();
        let default = Endpoints::on(self.host.as_deref().unwrap_or("127.0.0.1"));
        let choose = |given: &Option<String>, name: &str, default: Endpoint| {
            let shown = self.shown.files();
            if let Some(given) = given {
                let (address, tls) = match given.split_once("://") {
                    Some((scheme, address)) => (address.trim_end_matches('/'), scheme == "https"),
                    None => (given.as_str(), self.tls),
                };
                return Endpoint { address: address.to_owned(), tls, files: shown };
            }
            let Some(address) = running.get(name) else {
                return Endpoint { tls: self.tls, files: shown, ..default };
            };
            let descriptor =
                data_dir.as_deref().and_then(|dir| app::read_port_descriptor(dir, name)).unwrap_or_default();
            let files = descriptor.complete(&shown);
            Endpoint { address: reachable(*address).to_string(), tls: descriptor.tls, files }
        };
        Endpoints {
            otlp_grpc: choose(&self.otlp_grpc, "otlp_grpc", default.otlp_grpc),
            otlp_http: choose(&self.otlp_http, "otlp_http", default.otlp_http),
            remote_write: choose(&self.remote_write, "remote_write", default.remote_write),
            pyroscope: choose(&self.pyroscope, "pyroscope", default.pyroscope),
        }
    }
}

/// Runs the shop until it is told to stop; the exit code says whether all was acknowledged.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(&log::Config::default()).map_err(|message| anyhow::anyhow!(message))?;
    let config = args.config();
    let Endpoints { otlp_grpc, otlp_http, remote_write, pyroscope } = &config.endpoints;
    tracing::info!(
        otlp_grpc = otlp_grpc.address,
        otlp_http = otlp_http.address,
        remote_write = remote_write.address,
        pyroscope = pyroscope.address,
        rate = config.rate,
        "the shop opens, ctrl-c closes it"
    );

    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(stop_on_signal(shutdown.clone()));
        demo::run(config, shutdown).await
    })?;
    show(&report, args.json)?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    shutdown.cancel();
    // Who asks again does not want to wait for the last answers.
    let _ = tokio::signal::ctrl_c().await;
    std::process::exit(130);
}

fn show(report: &demo::report::Report, json: bool) -> anyhow::Result<()> {
    use std::io::Write;
    let text = if json { serde_json::to_string_pretty(report)? } else { report.to_string() };
    // A reader that has gone away is no error.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    Ok(())
}
