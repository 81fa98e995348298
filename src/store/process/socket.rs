//! The unix sockets of the store: who may connect.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::ProcessError;
use crate::durable;

/// Listens on a unix socket, in place of one that a crash left. Its owner may connect; and its
/// group, where the folder is open to it and to nobody else. That is how systemd makes the folder
/// for a store and a collector that are different users (`RuntimeDirectoryMode=0750`).
///
/// # Errors
/// [`ProcessError::Io`] names the socket.
pub fn bind(socket: &Path) -> Result<UnixListener, ProcessError> {
    let failed = |action, source| ProcessError::io(action, socket, source);
    if let Some(dir) = socket.parent() {
        durable::create_dir(dir).map_err(|e| failed("create the folder of", e))?;
    }
    match fs::remove_file(socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("replace", e)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(|e| failed("listen on", e))?;
    fs::set_permissions(socket, mode(socket)).map_err(|e| failed("restrict", e))?;
    Ok(listener)
}

fn mode(socket: &Path) -> Permissions {
    let folder = socket.parent().and_then(|folder| fs::metadata(folder).ok());
    let of_the_group = folder.is_some_and(|folder| folder.permissions().mode() & 0o017 == 0o010);
    Permissions::from_mode(if of_the_group { 0o660 } else { 0o600 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_group_may_connect_where_the_folder_is_for_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("ingest.sock");
        for (folder, expected) in [(0o700, 0o600), (0o750, 0o660), (0o755, 0o600), (0o1777, 0o600)] {
            fs::set_permissions(dir.path(), Permissions::from_mode(folder)).unwrap();
            // The second time there is one already.
            for _ in 0..2 {
                let _listener = bind(&socket).unwrap();
                assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, expected, "{folder:o}");
            }
        }
    }
}
