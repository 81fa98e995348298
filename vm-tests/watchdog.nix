# A process that stands still is started again by systemd.
{ self }:
{
  name = "watchdog";
  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr.enable = true;
  };
  testScript = import ./common/script.nix ./watchdog.py;
}
