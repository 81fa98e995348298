# Sourced by the other scripts: checks the toolchain, finds DuckDB, and keeps build output in
# the cache folder unless CARGO_TARGET_DIR says otherwise.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v cargo >/dev/null || {
  echo "no Rust toolchain found: install one (rustup, or Debian's rustup package), at least Rust 1.89" >&2
  exit 1
}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vispyr
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
scripts/need gcc make libc6-dev libsqlite3-dev libzstd-dev pkg-config python3 python3-pip patchelf binutils
DUCKDB_LIB_DIR=$(scripts/duckdb)
export DUCKDB_LIB_DIR
# The system's zstd: half a minute of compiling less.
export ZSTD_SYS_USE_PKG_CONFIG=1
