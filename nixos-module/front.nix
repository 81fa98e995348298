# nginx with TLS before Grafana: with a certificate of Let's Encrypt's, or one signed by itself.
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
  hasDomain = cfg.domain != null;
  hasAcme = hasDomain && cfg.acmeEmail != null;
  isLoopback = import ./loopback.nix { inherit lib; } cfg.listenAddress;
  isForAll =
    hasDomain
    || lib.elem cfg.listenAddress [
      "0.0.0.0"
      "::"
    ];
  # By this name it is reached, and so is its virtual host called where there is a domain.
  name =
    if hasDomain then
      cfg.domain
    else if isLoopback then
      "localhost"
    else
      config.networking.fqdnOrHostName;
  host = if hasDomain then cfg.domain else "vispyr";

  folder = "/var/lib/vispyr-certificate";
  isAddress = text: lib.hasInfix ":" text || builtins.match "[0-9.]+" text != null;
  alternative = one: "${if isAddress one then "IP" else "DNS"}:${one}";
  names = lib.unique (
    [ name ]
    ++ lib.optionals (!hasDomain) (
      [
        config.networking.hostName
        "localhost"
        "127.0.0.1"
        "::1"
      ]
      ++ lib.optional (!isForAll) cfg.listenAddress
    )
  );
  request = pkgs.writeText "vispyr-certificate.cnf" ''
    [req]
    prompt = no
    distinguished_name = subject
    x509_extensions = extensions
    [subject]
    CN = ${name}
    [extensions]
    subjectAltName = ${lib.concatMapStringsSep "," alternative (lib.filter (one: one != "") names)}
    basicConstraints = critical,CA:FALSE
    keyUsage = critical,digitalSignature
    extendedKeyUsage = serverAuth
  '';
in
{
  config = lib.mkIf (cfg.enable && cfg.grafana.enable && cfg.front.enable) (
    lib.mkMerge [
      {
        services.vispyr.settings.grafana.url = lib.mkDefault "https://${name}";
        services.grafana.settings = {
          server = {
            domain = lib.mkDefault name;
            root_url = lib.mkDefault "https://${name}/";
          };
          # Where only this machine connects, plain HTTP to Grafana will do, too.
          security.cookie_secure = lib.mkDefault (hasDomain || !isLoopback);
        };

        services.nginx = {
          enable = true;
          recommendedProxySettings = lib.mkDefault true;
          recommendedTlsSettings = lib.mkDefault true;
          serverTokens = lib.mkDefault false;
          virtualHosts.${host} = lib.mkMerge [
            {
              forceSSL = true;
              enableACME = hasAcme;
              locations."/" = {
                proxyPass = "http://${grafana.http_addr}:${toString grafana.http_port}";
                # Live panels.
                proxyWebsockets = true;
              };
              extraConfig = ''
                # Grafana says some of them itself, and others: a browser wants each once.
                proxy_hide_header X-Content-Type-Options;
                proxy_hide_header X-Frame-Options;
                proxy_hide_header Referrer-Policy;
                add_header X-Content-Type-Options nosniff always;
                add_header X-Frame-Options SAMEORIGIN always;
                add_header Referrer-Policy same-origin always;
              ''
              # A browser that has seen it once takes no other certificate: not for one that is signed by itself.
              + lib.optionalString hasAcme ''
                add_header Strict-Transport-Security "max-age=31536000" always;
              '';
            }
            (lib.mkIf (!hasDomain) {
              # Whatever name or address it is asked by.
              serverName = lib.mkDefault "_";
              default = lib.mkDefault true;
            })
            (lib.mkIf (!isForAll) {
              listenAddresses = lib.mkDefault [
                (if lib.hasInfix ":" cfg.listenAddress then "[${cfg.listenAddress}]" else cfg.listenAddress)
              ];
            })
            (lib.mkIf (!hasAcme) {
              sslCertificate = "${folder}/certificate.pem";
              sslCertificateKey = "${folder}/key.pem";
            })
          ];
        };
        networking.firewall.allowedTCPPorts = lib.mkIf (hasDomain || cfg.openFirewall) [
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
        systemd.services.vispyr-certificate = {
          description = "Vispyr: a certificate signed by itself for ${name}";
          before = [ "nginx.service" ];
          requiredBy = [ "nginx.service" ];
          path = [
            pkgs.diffutils
            pkgs.openssl
          ];
          script = ''
            openssl req -x509 -config ${request} -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 \
              -keyout key.new -out certificate.new
            cp ${request} request.new
            sync key.new certificate.new request.new
            for file in key.pem certificate.pem request.cnf; do
              mv "''${file%.*}.new" "$file"
            done
          '';
          serviceConfig = lib.mkMerge [
            {
              Type = "oneshot";
              # Made at the first start, for other names, and a month before its end; else there is
              # nothing to do, which systemd counts as a success.
              ExecCondition = pkgs.writeShellScript "vispyr-certificate-is-due" ''
                ! cmp -s ${request} request.cnf || ! openssl x509 -checkend 2592000 -noout -in certificate.pem
              '';
              # At the first start nginx is not there yet.
              ExecStartPost = "+${config.systemd.package}/bin/systemctl --no-block try-reload-or-restart nginx.service";
              StateDirectory = "vispyr-certificate";
              StateDirectoryMode = "0700";
              WorkingDirectory = folder;
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
