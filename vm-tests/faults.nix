# What operators get wrong, and what machines do: one unit fails with a clear line, the others run.
{ self }:
{
  name = "faults";
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [
        (import ./common/protected.nix {
          inherit self;
          names = "DNS:localhost,IP:127.0.0.1";
        })
      ];
      environment.systemPackages = [ pkgs.python3 ];
      # The scenario asks the store without.
      services.vispyr.settings.sql = {
        tls.enabled = false;
        auth.enabled = false;
      };
    };
  testScript = import ./common/script.nix ./faults.py;
}
