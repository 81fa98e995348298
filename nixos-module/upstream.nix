# What the unit of every database here has, and Grafana's: the sandbox but for what it says it needs, new
# starts, its share of the memory.
{ lib, cfg }:
let
  hardening = import ./hardening.nix { inherit lib; };
  memory = import ./memory.nix { inherit lib cfg; };
in
name:
{
  exceptions ? { },
  serviceConfig ? { },
}:
{
  environment.GOMEMLIMIT = memory.goLimit name;
  serviceConfig = lib.mkMerge [
    (hardening.sandboxed exceptions)
    hardening.restarted
    (memory.limits name)
    serviceConfig
  ];
}
