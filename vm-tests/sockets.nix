# A restart is not seen by those who send: systemd holds the ports.
{ self }:
{
  name = "sockets";
  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr.enable = true;
  };
  testScript = import ./common/script.nix ./sockets.py;
}
