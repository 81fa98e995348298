# TLS and tokens on every port, client certificates, and their rotation by reload.
{ self }:
let
  protected = {
    imports = [
      self.nixosModules.default
      (import ./common/certificates.nix "DNS:localhost,IP:127.0.0.1")
    ];
    services.vispyr = {
      enable = true;
      tls = {
        certificate = "/etc/pki/server.pem";
        key = "/etc/pki/server.key";
      };
      auth.tokensFile = "/etc/pki/tokens";
    };
  };
in
{
  name = "tls";
  nodes = {
    machine = protected;
    # This one wants certificates of its clients, too.
    strict = {
      imports = [ protected ];
      services.vispyr.tls.clientCA = "/etc/pki/authority.pem";
    };
  };
  testScript = import ./common/script.nix ./tls.py;
}
