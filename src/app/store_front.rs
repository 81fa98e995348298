//! Stands in for `store::front`: keeps an engine running and passes connections on.

use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// Keeps the engine running until `shutdown`, and passes TCP connections to its socket.
pub async fn run(
    mut command: tokio::process::Command,
    socket: std::path::PathBuf,
    listener: TcpListener,
    shutdown: CancellationToken,
) {
    command.stdin(Stdio::piped());
    let pass = async {
        while let Ok((mut stream, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                if let Ok(mut engine) = UnixStream::connect(socket).await {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut engine).await;
                }
            });
        }
    };
    let supervise = async {
        loop {
            match command.spawn() {
                Err(error) => tracing::error!(%error, "cannot start the engine"),
                Ok(mut engine) => {
                    let lifeline = engine.stdin.take();
                    tokio::select! {
                        ended = engine.wait() => tracing::warn!(?ended, "the engine ended, starting it again"),
                        () = shutdown.cancelled() => {
                            let pid = engine.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
                            if let Some(pid) = pid {
                                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                            }
                            let _ = engine.wait().await;
                            return;
                        }
                    }
                    drop(lifeline);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = pass => {}
        () = supervise => {}
    }
}
