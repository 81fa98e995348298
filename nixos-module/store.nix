# The store's unit is the package's; here is what depends on the options.
{ config, lib, ... }:
let
  cfg = config.services.vispyr;
  memory = import ./memory.nix { inherit lib cfg; };
  mib = part: "${toString part}MiB";
in
{
  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      { services.vispyr.settings.store.enabled = cfg.store.enable; }
      (lib.mkIf cfg.store.enable {
        # Of the unit's memory: files and queries within DuckDB, statements beyond that, and the rest
        # for the front.
        services.vispyr.settings = {
          store.memory_limit = lib.mkDefault (mib (memory.of "store" / 2));
          store.retention.max_age = lib.mkDefault cfg.retention.age;
          sql.memory_limit = lib.mkDefault (mib (memory.of "store" / 4));
        };
        systemd.services.vispyr-store = {
          wantedBy = [ "multi-user.target" ];
          restartTriggers = [
            (builtins.toJSON { inherit (cfg.settings) store sql; })
          ];
          reloadTriggers = [ config.environment.etc."vispyr/vispyr.toml".source ];
          serviceConfig = memory.limits "store";
        };
      })
    ]
  );
}
