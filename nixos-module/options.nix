# What a user can say, each option with what happens then.
{ self }:
{ lib, pkgs, ... }:
let
  inherit (lib)
    mkEnableOption
    mkOption
    types
    literalExpression
    ;
  toml = pkgs.formats.toml { };
  json = pkgs.formats.json { };

  # A secret: on this machine, never in the Nix store.
  secretFile =
    arguments: mkOption ({ type = types.nullOr types.externalPath; default = null; } // arguments);
  enabled =
    description:
    mkOption {
      type = types.bool;
      default = true;
      example = false;
      inherit description;
    };
  size = types.strMatching "[1-9][0-9]*(MiB|GiB|TiB)" // {
    description = "size such as 512MiB or 4GiB";
  };
in
{
  options.services.vispyr = {
    enable = mkEnableOption "the Vispyr backend: collector, store, Prometheus, Tempo, Pyroscope and Grafana on this machine";

    package = mkOption {
      type = types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.vispyr;
      defaultText = lib.literalMD "the package of the flake that this module is from";
      example = literalExpression "pkgs.vispyr";
      description = "The program of collector and store.";
    };

    settings = mkOption {
      type = types.submodule { freeformType = toml.type; };
      default = { };
      example = {
        wal.max_size = "32GiB";
        admission.max_connections = 4096;
      };
      description = ''
        The program's config, key by key; `config/vispyr.toml` of the sources has all keys with
        their defaults. `vispyr check` reads the result while the system is built: a mistake fails
        the build, with the key and what was expected.

        The other options fill it in with default priority: what is set here has precedence.
      '';
    };

    listenAddress = mkOption {
      type = types.str;
      default = "127.0.0.1";
      example = "0.0.0.0";
      description = ''
        Where the receivers (4317, 4318, 9090, 9999) listen. Metrics, status and SQL stay on
        127.0.0.1. Beyond 127.0.0.1 they must be protected: with
        {option}`services.vispyr.tls.certificate`, {option}`services.vispyr.auth.tokensFile` or both.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Open the receivers' ports in the firewall, those that are enabled, and with
        {option}`services.vispyr.front.enable` HTTP and HTTPS of Grafana. Nothing else is opened by it.
      '';
    };

    allowUnprotected = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Let everybody who reaches the receivers send, without TLS and without credentials. For a
        network that is protected by something else, such as WireGuard.
      '';
    };

    tls = {
      certificate = secretFile {
        example = "/var/lib/acme/telemetry.example/fullchain.pem";
        description = ''
          PEM: the certificate of the receivers and of SQL, then those between it and the root.
          The units get it, and the key, as systemd credentials, so that only root need be able to
          read the file. `systemctl reload vispyr-collector vispyr-store` takes a new one over
          without closing a connection.
        '';
      };
      key = secretFile {
        example = "/var/lib/acme/telemetry.example/key.pem";
        description = "PEM: the private key of {option}`services.vispyr.tls.certificate`, not encrypted.";
      };
      clientCA = secretFile {
        example = "/etc/vispyr/clients.pem";
        description = "PEM: only clients with a certificate signed by one of these may connect. Not set: all may.";
      };
    };

    auth = {
      tokensFile = secretFile {
        example = "/run/secrets/vispyr-tokens";
        description = ''
          Bearer tokens, one a line; each of them is accepted, so that a new one can take over from
          an old one. A request without one is refused.
        '';
      };
      usersFile = secretFile {
        example = "/run/secrets/vispyr-users";
        description = "`user:password`, one a line, for senders with basic authentication. Either will do where there are tokens, too.";
      };
    };

    credentials = mkOption {
      type = types.attrsOf types.externalPath;
      default = { };
      example = {
        vendor-token = "/run/secrets/vendor-token";
      };
      description = ''
        Files that the collector gets as systemd credentials, for {option}`services.vispyr.extraDestinations`
        and {option}`services.vispyr.settings`: `NAME` is `"$CREDENTIALS_DIRECTORY/vispyr.NAME"` there.
      '';
    };

    retention = {
      age = mkOption {
        type = types.strMatching "[1-9][0-9]*(h|d)" // {
          description = "number of hours or days such as 12h or 30d";
        };
        default = "30d";
        example = "90d";
        description = "How long the store, Prometheus, Tempo and Pyroscope keep what they have.";
      };
      size = mkOption {
        type = types.nullOr size;
        default = null;
        example = "50GiB";
        description = ''
          What Prometheus may take on disk; its oldest data goes first. Tempo and Pyroscope know no
          such limit, the store has `store.retention.max_size`. Not set: age alone counts.
        '';
      };
    };

    memory = mkOption {
      type = size;
      default = "4GiB";
      example = "16GiB";
      description = ''
        Memory of all units together, at least 1 GiB. Each gets a share of it as a hard limit, and
        Go programs are told theirs (GOMEMLIMIT) so that they collect garbage before they reach it.
        What is disabled leaves its share to the others.
      '';
    };

    store.enable = enabled "Keep everything in the store, too, and answer SQL on 127.0.0.1:12346 and, over PostgreSQL's protocol, on 5433.";

    prometheus = {
      enable = enabled "Run Prometheus on 127.0.0.1:9091, for metrics.";
      scrapeConfigs = mkOption {
        type = types.listOf json.type;
        default = [ ];
        example = [
          {
            job_name = "postgresql";
            static_configs = [ { targets = [ "127.0.0.1:9187" ]; } ];
          }
        ];
        description = "More that Prometheus is to scrape, as in its config file.";
      };
    };

    tempo = {
      enable = enabled "Run Tempo on 127.0.0.1:3200, for traces.";
      s3 = mkOption {
        type = types.nullOr (
          types.submodule {
            options = {
              bucket = mkOption {
                type = types.str;
                example = "traces";
                description = "The bucket, which must be there.";
              };
              endpoint = mkOption {
                type = types.str;
                example = "s3.eu-central-1.amazonaws.com";
                description = "Host, and port where it is not 443, without `https://`.";
              };
              region = mkOption {
                type = types.nullOr types.str;
                default = null;
                example = "eu-central-1";
                description = "The region, where the endpoint does not tell.";
              };
              insecure = mkOption {
                type = types.bool;
                default = false;
                example = true;
                description = "HTTP instead of HTTPS.";
              };
              environmentFile = secretFile {
                example = "/run/secrets/tempo-s3";
                description = ''
                  `AWS_ACCESS_KEY_ID=...` and `AWS_SECRET_ACCESS_KEY=...`, a line each. Not set:
                  the machine's own role.
                '';
              };
            };
          }
        );
        default = null;
        example = {
          bucket = "traces";
          endpoint = "s3.eu-central-1.amazonaws.com";
          environmentFile = "/run/secrets/tempo-s3";
        };
        description = "Keep traces in S3, or in something that speaks its protocol. Not set: under /var/lib/tempo.";
      };
    };

    pyroscope.enable = enabled "Run Pyroscope on 127.0.0.1:4040, for profiles.";

    grafana = {
      enable = enabled "Run Grafana on 127.0.0.1:3000, with data sources and dashboards.";
      adminPasswordFile = secretFile {
        example = "/run/secrets/grafana-admin";
        description = ''
          The password of the user `admin`. Not set: one is made at the first start, which `vispyr
          status` shows to root. Grafana takes it over when its database is made; later
          `grafana cli admin reset-admin-password` changes it.
        '';
      };
      storePasswordFile = secretFile {
        example = "/run/secrets/grafana-store";
        description = ''
          The password of the user `grafana` at the store's port 5433, or a token, where
          `settings.postgres.auth` or `settings.auth` wants one. Not set: none is given.
        '';
      };
    };

    nodeExporter.enable = enabled "Run node_exporter on 127.0.0.1:9100, scraped by Prometheus, for this machine's own CPU, memory, disks and network.";

    front.enable = enabled ''
      Put nginx before Grafana, on ports 80 and 443 of {option}`services.vispyr.listenAddress`, with
      {option}`services.vispyr.domain` of all addresses. HTTP is redirected to HTTPS. The certificate
      is Let's Encrypt's where {option}`services.vispyr.acmeEmail` is set; else one signed by itself
      is made at the first start, and again before it ends. Where another program has these ports,
      disable it.
    '';

    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "telemetry.example";
      description = ''
        Name under which Grafana is reached from everywhere: ports 80 and 443 are opened. Not set:
        Grafana is reached where the receivers are, by {option}`services.vispyr.listenAddress`.
      '';
    };

    acmeEmail = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "admin@telemetry.example";
      description = ''
        Let's Encrypt gives {option}`services.vispyr.domain` a certificate, and writes to this
        address when it is about to end. Setting it accepts their terms of service.
      '';
    };

    extraDestinations = mkOption {
      type = types.attrsOf toml.type;
      default = { };
      example = {
        vendor = {
          type = "otlp";
          url = "https://otlp.vendor.example:4317";
          auth.bearer_token_file = "$CREDENTIALS_DIRECTORY/vispyr.vendor-token";
        };
      };
      description = ''
        Where everything goes besides this machine's own databases: the `[exporters]` of
        `config/vispyr.toml`, by name. Each reads the log at its own pace; one that is down holds
        back nobody else.
      '';
    };

    alerting.rules = mkOption {
      type = types.listOf json.type;
      default = [ ];
      example = [
        {
          name = "shop";
          rules = [
            {
              alert = "CheckoutFails";
              expr = ''sum(rate(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"}[5m])) > 1'';
            }
          ];
        }
      ];
      description = "Groups of alert rules for Prometheus, beside those for Vispyr, applications and machines. promtool checks them while the system is built.";
    };
    alerting.alertmanager.enable = mkEnableOption "" // {
      description = "Whether Prometheus' Alertmanager runs here and gets the alerts. Where it sends them is said in `services.prometheus.alertmanager.configuration`; until then it only shows them, on 127.0.0.1:9093.";
    };
  };
}
