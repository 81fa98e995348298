# What `nix flake check` proves.
{ self, pkgs }:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) system;
  inherit (self.packages.${system}) vispyr;

  # Every file of vm-tests/ is a test, named after the file.
  scenarios = lib.mapAttrs' (
    file: _:
    lib.nameValuePair (lib.removeSuffix ".nix" file) (
      pkgs.testers.runNixOSTest (lib.modules.importApply (../vm-tests + "/${file}") { inherit self; })
    )
  ) (lib.filterAttrs (file: _: lib.hasSuffix ".nix" file) (builtins.readDir ../vm-tests));
in
scenarios
// {
  package = vispyr;


  clippy = vispyr.overrideAttrs (old: {
    pname = "vispyr-clippy";
    nativeBuildInputs = old.nativeBuildInputs ++ [ pkgs.clippy ];
    buildPhase = "cargo clippy --offline --all-targets --features bundled -- -D warnings";
    doCheck = false;
    installPhase = "touch $out";
    fixupPhase = ":";
  });

  fmt =
    pkgs.runCommand "vispyr-fmt"
      {
        nativeBuildInputs = [
          pkgs.cargo
          pkgs.nixfmt
          pkgs.rustfmt
        ];
      }
      ''
        cd ${self}
        cargo fmt --check
        find . -name '*.nix' -exec nixfmt --check {} +
        touch $out
      '';
}
# They are the same on each system, and take their time.
// lib.optionalAttrs (system == "x86_64-linux") {
  module-cases = import ./cases.nix { inherit self pkgs; };
}
