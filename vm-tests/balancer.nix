# Two backends behind a balancer: one goes away, and what was acknowledged is in one of the two.
{ self }:
let
  backend = import ./common/open.nix { inherit self; };
  ports = [
    4317
    4318
    9090
    9999
  ];
in
{
  name = "balancer";
  nodes = {
    backend1 = backend;
    backend2 = backend;
    balancer =
      { pkgs, ... }:
      {
        services.nginx = {
          enable = true;
          clientMaxBodySize = "64m";
          appendHttpConfig = builtins.concatStringsSep "\n" (
            map (
              port:
              let
                upstream = "port${toString port}";
                isGrpc = port == 4317;
              in
              ''
                upstream ${upstream} {
                  server backend1:${toString port} max_fails=1 fail_timeout=2s;
                  server backend2:${toString port} max_fails=1 fail_timeout=2s;
                }
                server {
                  listen ${toString port};
                  ${if isGrpc then "http2 on;" else ""}
                  location / {
                    ${if isGrpc then "grpc_connect_timeout 1s;" else "proxy_connect_timeout 1s;"}
                    ${if isGrpc then "grpc_pass grpc" else "proxy_pass http"}://${upstream};
                  }
                }
              ''
            ) ports
          );
        };
        networking.firewall.allowedTCPPorts = ports;
        environment.systemPackages = [ self.packages.${pkgs.stdenv.hostPlatform.system}.vispyr ];
      };
  };
  testScript = import ./common/script.nix ./balancer.py;
}
