# TLS and tokens on every port, client certificates, and their rotation by reload.
{ self }:
let
  protected = import ./common/protected.nix {
    inherit self;
    names = "DNS:localhost,IP:127.0.0.1";
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
