# nginx with a certificate before Grafana, where there is a domain.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.vispyr;
  hardening = import ./hardening.nix { inherit lib; };
  grafana = config.services.grafana.settings.server;
  hasAcme = cfg.acmeEmail != null;
  folder = "/var/lib/vispyr-certificate";
in
{
  config = lib.mkIf (cfg.enable && cfg.grafana.enable && cfg.domain != null) (
    lib.mkMerge [
      {
        services.grafana.settings = {
          server = {
            domain = lib.mkDefault cfg.domain;
            root_url = lib.mkDefault "https://${cfg.domain}/";
          };
          security.cookie_secure = lib.mkDefault true;
        };

        services.nginx = {
          enable = true;
          recommendedProxySettings = lib.mkDefault true;
          recommendedTlsSettings = lib.mkDefault true;
          serverTokens = lib.mkDefault false;
          virtualHosts.${cfg.domain} = {
            forceSSL = true;
            enableACME = hasAcme;
            locations."/" = {
              proxyPass = "http://${grafana.http_addr}:${toString grafana.http_port}";
              # Live panels.
              proxyWebsockets = true;
            };
            extraConfig = ''
              add_header X-Content-Type-Options nosniff always;
              add_header X-Frame-Options SAMEORIGIN always;
              add_header Referrer-Policy same-origin always;
            ''
            # A browser that has seen it once takes no other certificate: not for one that is signed by itself.
            + lib.optionalString hasAcme ''
              add_header Strict-Transport-Security "max-age=31536000" always;
            '';
          };
        };
        networking.firewall.allowedTCPPorts = [
          80
          443
        ];
        systemd.services.nginx.serviceConfig = lib.mkMerge [
          (hardening.sandboxed {
            # It binds 80 and 443.
            AmbientCapabilities = [ "CAP_NET_BIND_SERVICE" ];
            CapabilityBoundingSet = [ "CAP_NET_BIND_SERVICE" ];
            # A capability within a user namespace of its own counts for nothing outside.
            PrivateUsers = false;
            # Its group reads the log and the cache.
            UMask = "0027";
          })
          { MemoryMax = "256M"; }
        ];
      }
      (lib.mkIf hasAcme {
        security.acme = {
          acceptTerms = true;
          certs.${cfg.domain}.email = lib.mkDefault cfg.acmeEmail;
        };
      })
      (lib.mkIf (!hasAcme) {
        services.nginx.virtualHosts.${cfg.domain} = {
          sslCertificate = "${folder}/certificate.pem";
          sslCertificateKey = "${folder}/key.pem";
        };
        systemd.services.vispyr-certificate = {
          description = "Vispyr: a certificate signed by itself for ${cfg.domain}";
          before = [ "nginx.service" ];
          requiredBy = [ "nginx.service" ];
          path = [ pkgs.openssl ];
          # Made again for another name, and a month before its end.
          script = ''
            cd "$STATE_DIRECTORY"
            if [ "$(cat domain 2>/dev/null)" = ${lib.escapeShellArg cfg.domain} ] && openssl x509 -checkend 2592000 -noout -in certificate.pem; then
              exit 0
            fi
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 \
              -subj ${lib.escapeShellArg "/CN=${cfg.domain}"} -addext ${lib.escapeShellArg "subjectAltName=DNS:${cfg.domain}"} \
              -keyout key.new -out certificate.new
            chmod 640 key.new certificate.new
            mv key.new key.pem
            mv certificate.new certificate.pem
            echo ${lib.escapeShellArg cfg.domain} > domain
          '';
          serviceConfig = lib.mkMerge [
            {
              Type = "oneshot";
              # At the first start nginx is not there yet.
              ExecStartPost = "+${config.systemd.package}/bin/systemctl --no-block try-reload-or-restart nginx.service";
              StateDirectory = "vispyr-certificate";
              StateDirectoryMode = "0750";
              User = config.services.nginx.user;
              Group = config.services.nginx.group;
            }
            (hardening.sandboxed {
              PrivateNetwork = true;
              RestrictAddressFamilies = "none";
            })
          ];
        };
        # Looked at daily.
        systemd.timers.vispyr-certificate = {
          wantedBy = [ "timers.target" ];
          timerConfig = {
            OnCalendar = "daily";
            Persistent = true;
          };
        };
      })
    ]
  );
}
