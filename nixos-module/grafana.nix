# Grafana: data sources and dashboards as in config/grafana, nothing to click.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.vispyr;
  grafana = config.services.grafana;
  upstream = import ./upstream.nix { inherit lib cfg; };

  dashboards = ../config/grafana/dashboards;
  secrets = "/var/lib/vispyr-secrets";
  password =
    if cfg.grafana.adminPasswordFile != null then
      cfg.grafana.adminPasswordFile
    else
      "${secrets}/grafana-admin-password";
  # systemd puts them there, for this unit alone.
  credential = name: "$__file{/run/credentials/grafana.service/${name}}";

  # Left Grafana's core with 13.2. Nothing may be downloaded at start, so they come from nixpkgs.
  plugins = lib.filter (plugin: plugin != null) (
    map (name: pkgs.grafanaPlugins.${name} or null) [
      "grafana-prometheus-datasource"
      "grafana-tempo-datasource"
      "grafana-pyroscope-datasource"
    ]
  );
  needsPlugins = lib.versionAtLeast grafana.package.version "13.2" && plugins != [ ];

  datasources =
    lib.optional cfg.prometheus.enable {
      name = "Prometheus";
      uid = "prometheus";
      type = "prometheus";
      access = "proxy";
      url = "http://127.0.0.1:${toString config.services.prometheus.port}";
      isDefault = true;
      editable = false;
      jsonData = {
        httpMethod = "POST";
        prometheusType = "Prometheus";
        timeInterval = "15s";
      }
      // lib.optionalAttrs cfg.tempo.enable {
        # From a point of a histogram to a trace that was counted in it.
        exemplarTraceIdDestinations = [
          {
            name = "trace_id";
            datasourceUid = "tempo";
          }
        ];
      };
    }
    ++ lib.optional cfg.tempo.enable {
      name = "Tempo";
      uid = "tempo";
      type = "tempo";
      access = "proxy";
      url = "http://127.0.0.1:3200";
      editable = false;
      jsonData = {
        nodeGraph.enabled = true;
      }
      // lib.optionalAttrs cfg.prometheus.enable {
        serviceMap.datasourceUid = "prometheus";
        # From a span to the rate of its like.
        tracesToMetrics = {
          datasourceUid = "prometheus";
          spanStartTimeShift = "-10m";
          spanEndTimeShift = "10m";
          tags = [
            {
              key = "service.name";
              value = "service";
            }
          ];
          queries = [
            {
              name = "Requests a second";
              query = "sum(rate(traces_spanmetrics_calls_total{$$__tags}[5m]))";
            }
          ];
        };
      }
      // lib.optionalAttrs cfg.pyroscope.enable {
        # From a span to what its process did meanwhile.
        tracesToProfiles = {
          datasourceUid = "pyroscope";
          profileTypeId = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
          tags = [
            {
              key = "service.name";
              value = "service_name";
            }
          ];
        };
      };
    }
    ++ lib.optional cfg.pyroscope.enable {
      name = "Pyroscope";
      uid = "pyroscope";
      type = "grafana-pyroscope-datasource";
      access = "proxy";
      url = "http://127.0.0.1:4040";
      editable = false;
      jsonData.minStep = "15s";
    };
in
{
  config = lib.mkIf (cfg.enable && cfg.grafana.enable) {
    services.grafana = {
      enable = true;
      settings = lib.mapAttrsRecursive (_: lib.mkDefault) {
        server = {
          http_addr = "127.0.0.1";
          http_port = 3000;
        };
        security = {
          # With it Grafana encrypts what it keeps in its database.
          secret_key = credential "secret-key";
          admin_user = "admin";
          admin_password = credential "admin-password";
          disable_gravatar = true;
        };
        users = {
          allow_sign_up = false;
          allow_org_create = false;
        };
        # Nothing is asked of, or told to, anybody on the internet.
        analytics = {
          reporting_enabled = false;
          check_for_updates = false;
          check_for_plugin_updates = false;
          feedback_links_enabled = false;
        };
        plugins.preinstall_disabled = true;
        news.news_feed_enabled = false;
        dashboards.default_home_dashboard_path = "${dashboards}/application.json";
        log.level = "warn";
      };
      declarativePlugins = lib.mkIf needsPlugins plugins;
      provision = {
        enable = true;
        datasources.settings = {
          apiVersion = 1;
          inherit datasources;
        };
        dashboards.settings = {
          apiVersion = 1;
          providers = [
            {
              name = "vispyr";
              folder = "Vispyr";
              type = "file";
              disableDeletion = true;
              allowUiUpdates = false;
              options.path = dashboards;
            }
          ];
        };
      };
    };

    services.vispyr.settings.grafana = {
      url = lib.mkIf (!cfg.front.enable) (
        lib.mkDefault "http://127.0.0.1:${toString grafana.settings.server.http_port}"
      );
      admin_password_file = lib.mkDefault password;
    };

    systemd.services.grafana = upstream "grafana" {
      exceptions = {
        # Plugins are programs of their own, and some of Grafana's libraries make machine code.
        MemoryDenyWriteExecute = false;
      };
      serviceConfig = {
        LoadCredential = [
          "secret-key:${secrets}/grafana-secret-key"
          "admin-password:${password}"
        ];
        # nixpkgs' unit writes to its user's home.
        ReadWritePaths = [ grafana.dataDir ];
      };
    };
  };
}
