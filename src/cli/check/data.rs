//! `vispyr check --data`: every file of a store is compared with its checksum, whether the store runs
//! or not.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use bytesize::ByteSize;

use crate::store::catalog::{Catalog, File};
use crate::store::engine::sealed_file;
use crate::store::engine::store_dir;

/// Exit code 0 and one line if all files are whole; 1 and a line for each one that is not on stderr.
pub fn run(store: &Path) -> anyhow::Result<ExitCode> {
    let catalog = Catalog::open_read_only(&store.join(store_dir::CATALOG))?;
    let sealed = store.join(store_dir::SEALED);
    let mut files = catalog.files()?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let (mut bytes, mut damaged) = (0, 0);
    for file in &files {
        bytes += file.bytes;
        let Err(reason) = sealed_file::compare(&sealed.join(&file.path), file) else { continue };
        // A store that runs may have merged or dropped it meanwhile.
        if catalog.files()?.contains(file) {
            damaged += 1;
            writeln!(std::io::stderr(), "{}", line(file, &reason))?;
        }
    }
    let (count, size) = (files.len(), ByteSize(bytes));
    if damaged == 0 {
        writeln!(std::io::stdout(), "{}: good, {count} files with {size}", store.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(std::io::stderr(), "{}: {damaged} of {count} files with {size} are damaged or gone", store.display())?;
    Ok(ExitCode::FAILURE)
}

fn line(file: &File, reason: &str) -> String {
    let File { table, path, rows, .. } = file;
    let hour = sealed_file::hour_in(path).map(|hour| format!(" of {hour} UTC")).unwrap_or_default();
    format!("{path}: {reason}: {rows} rows of {table}{hour}")
}
