# What the units may do, what they did, who can read the secrets, what listens.
{ self }:
{
  name = "hardening";
  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr.enable = true;
  };
  testScript = import ./common/script.nix ./hardening.py;
}
