//! `vispyr demo`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::Place;
use crate::app::{Addresses, addresses_file};
use crate::demo::{self, Config, Endpoints};
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
    /// The OTLP gRPC receiver [default: port 4317 of the host]
    #[arg(long, value_name = "HOST:PORT")]
    otlp_grpc: Option<String>,
    /// The OTLP HTTP receiver [default: port 4318 of the host]
    #[arg(long, value_name = "HOST:PORT")]
    otlp_http: Option<String>,
    /// The remote write receiver [default: port 9090 of the host]
    #[arg(long, value_name = "HOST:PORT")]
    remote_write: Option<String>,
    /// The Pyroscope receiver [default: port 9999 of the host]
    #[arg(long, value_name = "HOST:PORT")]
    pyroscope: Option<String>,
    /// Print the account at the end as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    fn config(&self) -> Config {
        let found = self.endpoints();
        let or = |given: &Option<String>, found: String| given.clone().unwrap_or(found);
        Config {
            endpoints: Endpoints {
                otlp_grpc: or(&self.otlp_grpc, found.otlp_grpc),
                otlp_http: or(&self.otlp_http, found.otlp_http),
                remote_write: or(&self.remote_write, found.remote_write),
                pyroscope: or(&self.pyroscope, found.pyroscope),
            },
            rate: self.rate,
            duration: self.duration,
            history: self.history,
            seed: self.seed.unwrap_or_else(rand::random),
        }
    }

    /// The named host's; else what a server on the data directory has written down.
    fn endpoints(&self) -> Endpoints {
        if let Some(host) = &self.host {
            return Endpoints::on(host);
        }
        let addresses: Addresses = self
            .place
            .settings()
            .ok()
            .and_then(|settings| std::fs::read(addresses_file(&settings.data_dir)).ok())
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let default = Endpoints::on("127.0.0.1");
        let or = |name: &str, default: String| addresses.get(name).map_or(default, ToString::to_string);
        Endpoints {
            otlp_grpc: or("otlp_grpc", default.otlp_grpc),
            otlp_http: or("otlp_http", default.otlp_http),
            remote_write: or("remote_write", default.remote_write),
            pyroscope: or("pyroscope", default.pyroscope),
        }
    }
}

/// Runs the shop until it is told to stop; the exit code says whether all was acknowledged.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(&log::Config::default()).map_err(|message| anyhow::anyhow!(message))?;
    let config = args.config();
    let Endpoints { otlp_grpc, otlp_http, remote_write, pyroscope } = &config.endpoints;
    tracing::info!(
        otlp_grpc,
        otlp_http,
        remote_write,
        pyroscope,
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
