# What operators get wrong, and what machines do: one unit fails with a clear line, the others run.
{ self }:
{
  name = "faults";
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [
        self.nixosModules.default
        (import ./common/certificates.nix "DNS:localhost,IP:127.0.0.1")
      ];
      environment.systemPackages = [ pkgs.python3 ];
      services.vispyr = {
        enable = true;
        tls = {
          certificate = "/etc/pki/server.pem";
          key = "/etc/pki/server.key";
        };
        auth.tokensFile = "/etc/pki/tokens";
        # The scenario asks the store without.
        settings.sql = {
          tls.enabled = false;
          auth.enabled = false;
        };
      };
    };
  testScript = import ./common/script.nix ./faults.py;
}
