# The example machine in a QEMU window, its ports on the host's.
{ lib, modulesPath, ... }:
let
  ports = [
    3000
    4317
    4318
    5433
    9090
    9999
    12345
    12346
  ];
in
{
  imports = [ "${modulesPath}/virtualisation/qemu-vm.nix" ];

  services.vispyr = {
    # QEMU's own network is the only one that it has.
    listenAddress = "0.0.0.0";
    openFirewall = true;
    allowUnprotected = true;
    # Grafana itself is shown, on the host's 127.0.0.1.
    front.enable = false;
    settings = {
      web = {
        listen = "0.0.0.0:12345";
        allow_unprotected = true;
      };
      sql = {
        listen = "0.0.0.0:12346";
        allow_unprotected = true;
      };
      postgres = {
        listen = "0.0.0.0:5433";
        allow_unprotected = true;
      };
    };
  };
  services.grafana.settings.server.http_addr = "0.0.0.0";
  networking.firewall.allowedTCPPorts = ports;
  services.getty.autologinUser = "root";
  users.users.root.initialHashedPassword = lib.mkDefault "";

  virtualisation = {
    memorySize = 6144;
    cores = 4;
    diskSize = 20480;
    forwardPorts = map (port: {
      from = "host";
      host = {
        address = "127.0.0.1";
        inherit port;
      };
      guest.port = port;
    }) ports;
  };
}
