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

  # The files of config/grafana/provisioning are JSON but for comments on lines of their own.
  provisioned =
    file:
    builtins.fromJSON (
      lib.concatLines (
        lib.filter (line: builtins.match " *#.*" line == null) (
          lib.splitString "\n" (builtins.readFile (../config/grafana/provisioning + "/${file}"))
        )
      )
    );

  storePassword = cfg.grafana.storePasswordFile;
  hasTls = (cfg.settings.postgres.tls.certificate_file or cfg.settings.tls.certificate_file or null) != null;
  # How Grafana comes into the store.
  login =
    source:
    removeAttrs source [ "secureJsonData" ]
    // lib.optionalAttrs (storePassword != null) {
      secureJsonData.password = credential "store-password";
    }
    // lib.optionalAttrs hasTls { jsonData = source.jsonData // { sslmode = "require"; }; };

  # What this machine has, and where. A link to what it has not is left out.
  here = {
    prometheus = lib.optional cfg.prometheus.enable "http://127.0.0.1:${toString config.services.prometheus.port}";
    tempo = lib.optional cfg.tempo.enable "http://127.0.0.1:3200";
    pyroscope = lib.optional cfg.pyroscope.enable "http://127.0.0.1:4040";
    store = lib.optional (
      cfg.store.enable && cfg.settings.postgres.enabled or true
    ) (cfg.settings.postgres.listen or "127.0.0.1:5433");
  };
  has = uid: here.${uid} != [ ];

  leadsOn =
    name: link:
    if name == "exemplarTraceIdDestinations" then
      lib.any (destination: has destination.datasourceUid) link
    else
      has (link.datasourceUid or "store");

  datasources = lib.concatMap (
    source:
    map (
      url:
      source
      // {
        inherit url;
        jsonData = lib.filterAttrs leadsOn source.jsonData;
      }
      // lib.optionalAttrs (source ? correlations) {
        correlations = lib.filter (correlation: has correlation.targetUID) source.correlations;
      }
    ) here.${source.uid}
  ) (map (source: if source.uid == "store" then login source else source) (provisioned "datasources/vispyr.yaml").datasources);
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
          providers = map (provider: provider // { options = provider.options // { path = dashboards; }; }) (
            provisioned "dashboards/vispyr.yaml"
          ).providers;
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
        ]
        ++ lib.optional (storePassword != null) "store-password:${storePassword}";
        # nixpkgs' unit writes to its user's home.
        ReadWritePaths = [ grafana.dataDir ];
      };
    };
  };
}
