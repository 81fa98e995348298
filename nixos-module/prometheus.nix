# Prometheus, for metrics: config/prometheus says the same as files.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.vispyr;
  prometheus = config.services.prometheus;
  hardening = import ./hardening.nix { inherit lib; };
  upstream = import ./upstream.nix { inherit lib cfg; };
  yaml = pkgs.formats.yaml { };

  # The rules of config/prometheus, whose links lead to the Grafana that people use.
  rules =
    name:
    let
      path = ../config/prometheus + "/${name}";
      inHere = "http://127.0.0.1:3000";
      grafana = cfg.settings.grafana.url or inHere;
    in
    if !cfg.grafana.enable || grafana == inHere then
      path
    else
      pkgs.writeText name (lib.replaceStrings [ inHere ] [ grafana ] (builtins.readFile path));

  # What other modules say in services.prometheus, without what they leave out.
  said =
    value:
    if lib.isAttrs value && !lib.isDerivation value then
      lib.mapAttrs (_: said) (lib.filterAttrs (name: v: name != "_module" && v != null) value)
    else if lib.isList value then
      map said value
    else
      value;

  # A server beside it: whether it is up, and what its process takes.
  beside = job_name: port: {
    inherit job_name;
    static_configs = [ { targets = [ "127.0.0.1:${toString port}" ]; } ];
    metric_relabel_configs = [
      {
        source_labels = [ "__name__" ];
        regex = "go_.+|process_.+";
        action = "keep";
      }
    ];
  };

  # nixpkgs' module has no options for storage and otlp, so the whole file is written here.
  settings = {
    global = said prometheus.globalConfig;
    rule_files =
      map rules [
        "rules.yml"
        "application.rules.yml"
        "host.rules.yml"
      ]
      ++ lib.optional (cfg.alerting.rules != [ ]) (
        yaml.generate "rules.yml" { groups = cfg.alerting.rules; }
      )
      ++ lib.optional (prometheus.rules != [ ]) (
        pkgs.writeText "prometheus.rules" (lib.concatStringsSep "\n" prometheus.rules)
      )
      ++ prometheus.ruleFiles;
    storage = {
      # After an outage several senders' points come in one after the other, not by time. Without a
      # window one late point rolls back its whole request.
      tsdb.out_of_order_time_window = "30m";
      exemplars.max_exemplars = 100000;
    };
    otlp = {
      # The names of the original gateway: traces_spanmetrics_duration_milliseconds_bucket.
      translation_strategy = "UnderscoreEscapingWithSuffixes";
      # As labels of every series, so that dashboards need no join with target_info.
      promote_resource_attributes = [
        "service.name"
        "service.namespace"
        "deployment.environment.name"
      ];
      keep_identifying_resource_attributes = true;
    };
    scrape_configs = said prometheus.scrapeConfigs ++ cfg.prometheus.scrapeConfigs;
  }
  // lib.optionalAttrs (prometheus.alertmanagers != [ ]) {
    alerting.alertmanagers = prometheus.alertmanagers;
  }
  // lib.optionalAttrs (prometheus.remoteWrite != [ ]) { remote_write = said prometheus.remoteWrite; }
  // lib.optionalAttrs (prometheus.remoteRead != [ ]) { remote_read = said prometheus.remoteRead; };
in
{
  config = lib.mkMerge [
    (lib.mkIf (cfg.enable && cfg.prometheus.enable) {
    services.prometheus = {
      enable = true;
      # 9090 is the collector's.
      port = lib.mkDefault 9091;
      listenAddress = lib.mkDefault "127.0.0.1";
      retentionTime = lib.mkDefault cfg.retention.age;
      globalConfig.scrape_interval = lib.mkDefault "15s";
      extraFlags = [
        "--web.enable-otlp-receiver"
        "--web.enable-remote-write-receiver"
        "--enable-feature=exemplar-storage,native-histograms,otlp-deltatocumulative"
      ]
      ++ lib.optional (cfg.retention.size != null) (
        # Prometheus' GB is 2^30 bytes.
        "--storage.tsdb.retention.size=${lib.replaceStrings [ "iB" ] [ "B" ] cfg.retention.size}"
      );
      scrapeConfigs = [
        {
          job_name = "vispyr";
          static_configs = [ { targets = [ "127.0.0.1:12345" ]; } ];
        }
        (beside "prometheus" prometheus.port)
      ]
      ++ lib.optional cfg.tempo.enable (beside "tempo" 3200)
      ++ lib.optional cfg.pyroscope.enable (beside "pyroscope" 4040)
      ++ lib.optional cfg.nodeExporter.enable {
        job_name = "node";
        static_configs = [
          { targets = [ "127.0.0.1:${toString prometheus.exporters.node.port}" ]; }
        ];
      };
      # Written as JSON, which is YAML.
      configText = builtins.toJSON settings;
    };

    services.vispyr.settings.exporters.prometheus = {
      type = lib.mkDefault "prometheus";
      url = lib.mkDefault "http://127.0.0.1:${toString prometheus.port}";
    };

    systemd.services.prometheus = upstream "prometheus" { };
    })

    (lib.mkIf (cfg.enable && cfg.prometheus.enable && cfg.alerting.alertmanager.enable) {
      services.prometheus = {
        alertmanagers = [
          {
            static_configs = [
              { targets = [ "127.0.0.1:${toString prometheus.alertmanager.port}" ]; }
            ];
          }
        ];
        alertmanager = {
          enable = true;
          listenAddress = lib.mkDefault "127.0.0.1";
          # One alone: it talks to no other.
          extraFlags = [ "--cluster.listen-address=" ];
          configuration = lib.mkDefault {
            route.receiver = "page";
            receivers = [ { name = "page"; } ];
          };
        };
      };
      systemd.services.alertmanager.serviceConfig.MemoryMax = "128M";
    })

    # Where somebody asks it: Prometheus here, or the agent's.
    (lib.mkIf (cfg.enable && cfg.nodeExporter.enable && prometheus.enable) {
      services.prometheus.exporters.node = {
        enable = true;
        listenAddress = lib.mkDefault "127.0.0.1";
      };
      systemd.services.prometheus-node-exporter.serviceConfig = lib.mkMerge [
        (hardening.sandboxed {
          # It counts what all processes and the whole machine do.
          PrivateUsers = false;
          ProcSubset = "all";
          ProtectProc = "default";
          # Its collector of network interfaces asks by netlink.
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
            "AF_NETLINK"
            "AF_UNIX"
          ];
        })
        hardening.restarted
        { MemoryMax = "128M"; }
      ];
    })
  ];
}
