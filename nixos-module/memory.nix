# The memory budget divided over the units that run, in MiB.
{ lib, cfg }:
let
  # Grafana needs what it needs, the others use what they get.
  shares = lib.filterAttrs (_: share: share > 0) {
    collector = 15;
    store = if cfg.store.enable then 30 else 0;
    prometheus = if cfg.prometheus.enable then 20 else 0;
    tempo = if cfg.tempo.enable then 20 else 0;
    pyroscope = if cfg.pyroscope.enable then 15 else 0;
    grafana = if cfg.grafana.enable then 10 else 0;
  };
  total = lib.foldl' builtins.add 0 (lib.attrValues shares);
  parts = builtins.match "([0-9]+)(MiB|GiB|TiB)" cfg.memory;
  budget =
    lib.toInt (builtins.elemAt parts 0)
    * {
      MiB = 1;
      GiB = 1024;
      TiB = 1024 * 1024;
    }
    .${builtins.elemAt parts 1};
  of = name: budget * shares.${name} / total;
in
{
  inherit budget of;

  # Limits of a unit's serviceConfig.
  limits = name: { MemoryMax = "${toString (of name)}M"; };

  # A Go program's own limit: below the unit's, so that it collects garbage before it is killed.
  goLimit = name: "${toString (of name * 9 / 10)}MiB";
}
