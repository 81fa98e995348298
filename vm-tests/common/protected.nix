# A backend with TLS and a token; its certificate is for `names`.
{ self, names }:
{
  imports = [
    self.nixosModules.default
    (import ./certificates.nix names)
  ];
  services.vispyr = {
    enable = true;
    tls = {
      certificate = "/etc/pki/server.pem";
      key = "/etc/pki/server.key";
    };
    auth.tokensFile = "/etc/pki/tokens";
  };
}
