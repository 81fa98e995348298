# A backend to which everybody on the network of the test may send.
{ self }:
{
  imports = [ self.nixosModules.default ];
  services.vispyr = {
    enable = true;
    listenAddress = "0.0.0.0";
    openFirewall = true;
    # The network of the test is its own.
    allowUnprotected = true;
  };
}
