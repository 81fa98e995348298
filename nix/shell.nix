# What scripts/ and the justfile use.
{
  mkShell,
  cargo,
  cargo-deny,
  clippy,
  curl,
  deadnix,
  just,
  nixfmt,
  pkg-config,
  prometheus,
  python3,
  rust-analyzer,
  rustc,
  rustfmt,
  sqlite,
  statix,
  zstd,
}:
mkShell {
  packages = [
    cargo
    cargo-deny
    clippy
    curl
    deadnix
    just
    nixfmt
    pkg-config
    prometheus
    python3
    rust-analyzer
    rustc
    rustfmt
    statix
  ];
  buildInputs = [
    sqlite
    zstd
  ];
}
