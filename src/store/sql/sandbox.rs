//! The sandbox of the instance: the second line behind the gates.

use std::path::Path;

use duckdb::Connection;

/// Takes away what statements never need. The engine calls it once, when it has attached and set
/// everything that it wants: from then on the configuration is locked for the whole instance, but for the number of
/// threads.
///
/// The sealed files stay readable, since the views read them, and writable, since flushes write
/// them; that readers cannot `COPY` there is for the gates to see to. `disabled_filesystems` is
/// not used: the next checkpoint would be FATAL on 2.0.0.
///
/// # Errors
/// DuckDB's.
pub fn enter(connection: &Connection, allowed_directories: &[&Path]) -> Result<(), duckdb::Error> {
    let quoted = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', "''"));
    let directories: Vec<String> = allowed_directories.iter().map(|path| quoted(path)).collect();
    connection.execute_batch(&format!(
        "SET allowed_directories = [{}];
         SET autoinstall_known_extensions = false;
         SET autoload_known_extensions = false;
         SET enable_external_access = false;
         SET allowed_configs = ['threads'];
         SET lock_configuration = true;",
        directories.join(", ")
    ))
}
