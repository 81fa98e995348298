# Grafana behind nginx: for the network without a domain, and with one, by a certificate signed by itself.
{ self }:
{
  name = "front";
  defaults =
    { pkgs, ... }:
    {
      environment.systemPackages = [ pkgs.openssl ];
    };
  nodes = {
    backend = import ./common/open.nix { inherit self; };
    named = {
      imports = [ self.nixosModules.default ];
      services.vispyr = {
        enable = true;
        domain = "telemetry.example";
      };
    };
    visitor =
      { pkgs, ... }:
      {
        environment.systemPackages = [ pkgs.curl ];
      };
  };
  testScript = import ./common/script.nix ./front.py;
}
