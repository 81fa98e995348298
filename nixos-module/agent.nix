# For a machine whose applications are watched: the same collector, without databases. Applications
# send to it on 127.0.0.1; it keeps what they send until the backend has it.
{ config, lib, ... }:
let
  inherit (lib) mkOption mkEnableOption types;
  vispyr = config.services.vispyr;
  cfg = vispyr.agent;
  hardening = import ./hardening.nix { inherit lib; };
  credential = name: "$CREDENTIALS_DIRECTORY/vispyr.backend-${name}";
  scheme = if cfg.tls.enable then "https" else "http";

  # What every destination on the backend has.
  destination =
    port: more:
    {
      url = "${scheme}://${cfg.backend}:${toString port}";
      compression = "gzip";
    }
    // lib.optionalAttrs (cfg.tls.enable && cfg.tls.ca != null) { tls.ca_file = credential "ca"; }
    // lib.optionalAttrs (cfg.tokenFile != null) { auth.bearer_token_file = credential "token"; }
    // more;
in
{
  options.services.vispyr.agent = {
    enable = mkEnableOption "the collector as an agent that forwards everything to a backend on another machine";

    backend = mkOption {
      type = types.str;
      example = "telemetry.example";
      description = "Host name or address of the backend: a machine with {option}`services.vispyr.enable` and {option}`services.vispyr.listenAddress`.";
    };

    tokenFile = mkOption {
      type = types.nullOr types.externalPath;
      default = null;
      example = "/run/secrets/vispyr-token";
      description = "The token to show to the backend: one of its {option}`services.vispyr.auth.tokensFile`.";
    };

    tls = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Speak TLS with the backend.";
      };
      ca = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/etc/ssl/our-ca.pem";
        description = "PEM: who must have signed the backend's certificate. Not set: one of the machine's roots.";
      };
    };

    scrapeInterval = mkOption {
      type = types.str;
      default = "15s";
      example = "1m";
      description = "How often node_exporter, and what else is in `services.prometheus.scrapeConfigs`, is asked.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.tokenFile == null || cfg.tls.enable;
        message = ''
          services.vispyr.agent.tokenFile would cross the network in the clear: services.vispyr.agent.tls.enable is false.
          Enable it, or leave the token out.
        '';
      }
    ];

    services.vispyr = {
      enable = true;
      memory = lib.mkDefault "1GiB";
      # All of that is on the backend.
      store.enable = lib.mkDefault false;
      prometheus.enable = lib.mkDefault false;
      tempo.enable = lib.mkDefault false;
      pyroscope.enable = lib.mkDefault false;
      grafana.enable = lib.mkDefault false;

      extraDestinations = {
        backend = destination 4317 {
          type = "otlp";
          signals = [
            "traces"
            "metrics"
            "logs"
          ];
        };
        # OTLP metrics go where the traces go.
        backend-metrics = destination 9090 {
          type = "prometheus";
          otlp_path = "";
        };
        backend-profiles = destination 9999 { type = "pyroscope"; };
      };
      credentials =
        lib.optionalAttrs (cfg.tls.enable && cfg.tls.ca != null) { backend-ca = cfg.tls.ca; }
        // lib.optionalAttrs (cfg.tokenFile != null) { backend-token = cfg.tokenFile; };
    };

    # Prometheus without a database: it asks node_exporter, and sends to the collector.
    services.prometheus = lib.mkIf (vispyr.nodeExporter.enable && !vispyr.prometheus.enable) {
      enable = true;
      enableAgentMode = true;
      port = lib.mkDefault 9091;
      listenAddress = lib.mkDefault "127.0.0.1";
      globalConfig = {
        scrape_interval = cfg.scrapeInterval;
        external_labels.instance = lib.mkDefault config.networking.hostName;
      };
      scrapeConfigs = [
        {
          job_name = "node";
          static_configs = [
            {
              targets = [ "127.0.0.1:${toString config.services.prometheus.exporters.node.port}" ];
              labels.instance = config.networking.hostName;
            }
          ];
        }
        {
          job_name = "vispyr-agent";
          static_configs = [
            {
              targets = [ "127.0.0.1:12345" ];
              labels.instance = config.networking.hostName;
            }
          ];
        }
      ];
      remoteWrite = [ { url = "http://127.0.0.1:9090/api/v1/write"; } ];
    };
    systemd.services.prometheus = lib.mkIf (vispyr.nodeExporter.enable && !vispyr.prometheus.enable) {
      environment.GOMEMLIMIT = "230MiB";
      serviceConfig = lib.mkMerge [
        (hardening.sandboxed { })
        hardening.restarted
        { MemoryMax = "256M"; }
      ];
    };
  };
}
