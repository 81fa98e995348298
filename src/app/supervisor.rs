//! What the service manager hears from us (sd_notify(3)), and what we hear from it: signals.

use std::future::Future;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Says that we are ready.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that the config is being read again (`Type=notify-reload`, systemd.service(5)).
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no clock for the service manager"),
    }
}

/// Says that it was, and whether anything came of it.
pub fn reloaded(changed: bool) {
    let status = if changed { "running" } else { "the new config is refused, running with the old one" };
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that we stop.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    // Does nothing where no NOTIFY_SOCKET is.
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}

/// Pings the watchdog, if there is one, for as long as `check` finds everything well. Without
/// pings systemd restarts us, which is the point.
pub async fn watchdog<F>(mut check: impl FnMut() -> F, shutdown: CancellationToken)
where
    F: Future<Output = Result<(), String>>,
{
    let mut microseconds = 0;
    if !sd_notify::watchdog_enabled(false, &mut microseconds) {
        return;
    }
    let mut tick = tokio::time::interval(Duration::from_micros(microseconds) / 3);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        match check().await {
            Ok(()) => tell(&[NotifyState::Watchdog]),
            Err(reason) => tracing::error!(reason, "not well, the watchdog gets no ping"),
        }
    }
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// To stop; the name of the signal.
    Stop(&'static str),
    /// To read again what may have changed.
    Reload,
}

/// The signals that we react to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes them over from the system's defaults.
    pub fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until we are told something.
    pub async fn told(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    /// Waits until we are told to stop; the name of the signal. A SIGHUP meanwhile is heard by the
    /// next [`Self::told`].
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
