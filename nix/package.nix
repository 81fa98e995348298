# The program with DuckDB and SQLite compiled in, its units, and the files in config/.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  formats,
  runCommandLocal,
}:
let
  manifest = (lib.importTOML ../Cargo.toml).package;
in
rustPlatform.buildRustPackage (finalAttrs: {
  pname = manifest.name;
  inherit (manifest) version;

  # What the build reads, so that a change of the documentation compiles nothing.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions (
      lib.filter builtins.pathExists [
        ../Cargo.lock
        ../Cargo.toml
        ../build.rs
        ../benches
        ../config
        ../crates
        ../src
        ../tests
      ]
    );
  };
  cargoLock.lockFile = ../Cargo.lock;
  buildFeatures = [ "bundled" ];

  nativeBuildInputs = [ installShellFiles ];

  env = {
    # Everything is compiled once, so it may take longer and be smaller.
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS = "1";
    CARGO_PROFILE_RELEASE_INCREMENTAL = "false";
    CARGO_PROFILE_RELEASE_LTO = "thin";
  }
  // lib.optionalAttrs stdenv.hostPlatform.isAarch64 {
    # Kernels of aarch64 have pages of 4, 16 or 64 KiB, and jemalloc runs where they are not larger than it was built for.
    JEMALLOC_SYS_WITH_LG_PAGE = "16";
  };

  # The others start programs and want more of the machine than a build has.
  cargoTestFlags = [
    "--lib"
    "--test=layering"
  ];

  postInstall = ''
    install -D -m 644 -t $out/lib/systemd/system config/systemd/*.service config/systemd/*.socket
    substituteInPlace $out/lib/systemd/system/*.service --replace-fail /usr/bin/vispyr $out/bin/vispyr
    mkdir -p $out/share/vispyr
    # Where the program is another platform's, they are left out.
    ${lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
      $out/bin/vispyr generate generated
      installManPage generated/*.1
      installShellCompletion --bash generated/vispyr.bash --zsh generated/_vispyr --fish generated/vispyr.fish
    ''}
    cp -r config/grafana config/prometheus config/pyroscope config/tempo config/vispyr.toml $out/share/vispyr
  '';

  passthru.services.default = {
    imports = [ (lib.modules.importApply ./service.nix { inherit formats runCommandLocal stdenv; }) ];
    vispyr.package = lib.mkDefault finalAttrs.finalPackage;
  };

  meta = {
    inherit (manifest) description;
    homepage = manifest.repository;
    license = lib.licenses.asl20;
    mainProgram = "vispyr";
    platforms = lib.platforms.linux;
  };
})
