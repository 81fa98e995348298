# Killed, cut off from power, started again, under load: what was acknowledged is there.
{ self }:
{
  name = "crash";
  nodes = {
    backend = {
      imports = [ self.nixosModules.default ];
      services.vispyr = {
        enable = true;
        listenAddress = "0.0.0.0";
        openFirewall = true;
        # The network of this test is its own.
        allowUnprotected = true;
      };
    };
    application = {
      environment.systemPackages = [ self.packages.x86_64-linux.vispyr ];
    };
  };
  testScript = import ./common/script.nix ./crash.py;
}
