# The package as a modular service (`services.default`): everything in one process, on NixOS or whatever
# else knows such services. The module in nixos-module/ is the one with databases, secrets and sockets.
{
  formats,
  runCommandLocal,
  stdenv,
}:
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.vispyr;
  toml = formats.toml { };
  hardening = import ../nixos-module/hardening.nix { inherit lib; };

  file = toml.generate "vispyr.toml" cfg.settings;
  checked =
    if stdenv.buildPlatform.canExecute stdenv.hostPlatform then
      runCommandLocal "vispyr.toml" { } ''
        ${lib.getExe cfg.package} check --no-files ${file}
        ln -s ${file} $out
      ''
    else
      file;
in
{
  _class = "service";

  options.vispyr = {
    package = mkOption {
      type = types.package;
      defaultText = lib.literalMD "the package that this service is from";
      description = "The program.";
    };
    settings = mkOption {
      type = types.submodule { freeformType = toml.type; };
      default = { };
      example = {
        wal.max_size = "32GiB";
      };
      description = "The program's config, key by key; `vispyr check` reads it while it is built.";
    };
  };

  config = {
    process.argv = [
      (lib.getExe cfg.package)
      "serve"
      "--config"
      checked
    ];
  }
  // lib.optionalAttrs (options ? systemd) {
    systemd.service.serviceConfig = lib.mkMerge [
      (hardening.sandboxed { })
      {
        Type = "notify-reload";
        WatchdogSec = "1min";
        # A large log is read through before the ports open.
        TimeoutStartSec = "10min";
        TimeoutStopSec = "15s";
        LimitNOFILE = 65536;
        DynamicUser = true;
        # The unit's name: each service has folders of its own.
        StateDirectory = "%N";
        StateDirectoryMode = "0700";
        RuntimeDirectory = "%N";
        RuntimeDirectoryMode = "0700";
        ImportCredential = "vispyr.*";
      }
    ];
  };
}
