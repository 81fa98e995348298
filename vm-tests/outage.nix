# Each upstream is away for a while, then all of them: nothing is lost, nobody waits for the others.
{ self }:
{
  name = "outage";
  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr.enable = true;
  };
  testScript = import ./common/script.nix ./outage.py;
}
