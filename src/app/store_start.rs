//! What starting the store takes: its engine is another process, so what it would refuse is said
//! here first.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context;

use super::Settings;
use super::store_client::StoreClient;
use crate::store::engine::store_dir::StoreDir;
use crate::store::process::Command;

/// Bytes of a unix socket's path (`sun_path` in unix(7), less the zero at its end).
const LONGEST_SOCKET: usize = 107;

/// What the engine would refuse to start for, said here and now by the program itself: another
/// instance on its folder, a newer version, no permission; a socket's path that is too long.
pub async fn check(settings: &Settings) -> anyhow::Result<()> {
    let store = &settings.config.store;
    let socket = store.ingest_socket(&settings.data_dir);
    let length = socket.as_os_str().len();
    anyhow::ensure!(
        length <= LONGEST_SOCKET,
        "the path of the socket {} has {length} bytes, the system takes {LONGEST_SOCKET}; \
         set store.socket_dir to a folder with a shorter path",
        socket.display()
    );
    let dir = store.dir(&settings.data_dir);
    // Given up at once: the engine takes it.
    let checked = tokio::task::spawn_blocking(move || StoreDir::open(&dir).map(drop)).await?;
    checked.context("the store cannot start")
}

/// `vispyr engine`, the same program on the same data.
pub fn engine_command(settings: &Settings) -> anyhow::Result<Command> {
    command(settings, "engine")
}

/// The same program with another subcommand on the same data.
pub fn command(settings: &Settings, subcommand: &str) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("cannot find the program's own file")?;
    let mut args: Vec<OsString> = vec![subcommand.into(), "--data-dir".into(), settings.data_dir.clone().into()];
    if let Some(file) = &settings.config_file {
        args.extend(["--config".into(), file.into()]);
    }
    let log = &settings.config.log;
    args.extend(["--log-level".into(), log.level.clone().into()]);
    args.extend(["--log-format".into(), log.format.name().into()]);
    Ok(Command { program, args, env: Vec::new() })
}

/// Waits until the store answers; whether it did in time.
pub async fn wait_for(client: &StoreClient, patience: Duration) -> bool {
    let answers = async {
        while client.fetch().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, answers).await.is_ok()
}
