//! Lets the programs built here find the DuckDB library that they were linked with.

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if std::env::var_os("CARGO_FEATURE_BUNDLED").is_some() {
        return;
    }
    // Cargo's own LD_LIBRARY_PATH leads to a copy of the library without what lies beside it; the
    // older kind of path comes before that variable.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    // A package may put the library beside the binary instead.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/vispyr");
    if let Ok(dir) = std::env::var("DUCKDB_LIB_DIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
    }
}
