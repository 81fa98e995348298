# An application's machine with the agent, and the backend on another, both with their firewalls on:
# everything arrives over TLS with a token, also what was sent while the network was cut.
{ self }:
{
  name = "agent";
  nodes = {
    backend = {
      imports = [
        (import ./common/protected.nix {
          inherit self;
          names = "DNS:backend";
        })
      ];
      services.vispyr = {
        listenAddress = "0.0.0.0";
        openFirewall = true;
        # The scenario asks the store without.
        settings.sql = {
          tls.enabled = false;
          auth.enabled = false;
        };
      };
    };
    application = {
      imports = [
        self.nixosModules.agent
        (import ./common/certificates.nix "DNS:application")
      ];
      services.vispyr.agent = {
        enable = true;
        backend = "backend";
        tls.ca = "/etc/pki/authority.pem";
        tokenFile = "/etc/pki/tokens";
        scrapeInterval = "2s";
      };
    };
  };
  testScript = import ./common/script.nix ./agent.py;
}
