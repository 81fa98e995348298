# The whole backend on one machine; ../nix/appliance.nix is an example.
{ self }:
{ lib, ... }:
{
  imports = [
    (lib.modules.importApply ./options.nix { inherit self; })
    ./collector.nix
    ./store.nix
    ./prometheus.nix
    ./tempo.nix
    ./pyroscope.nix
    ./grafana.nix
    ./secrets.nix
    ./front.nix
    ./mistakes.nix
  ];
}
