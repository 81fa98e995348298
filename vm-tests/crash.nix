# Killed, cut off from power, started again, under load: what was acknowledged is there.
{ self }:
{
  name = "crash";
  nodes = {
    backend = import ./common/open.nix { inherit self; };
    application =
      { pkgs, ... }:
      {
        environment.systemPackages = [ self.packages.${pkgs.stdenv.hostPlatform.system}.vispyr ];
      };
  };
  testScript = import ./common/script.nix ./crash.py;
}
