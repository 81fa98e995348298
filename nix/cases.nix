# Configurations of the module, and what must come of each: some work, some fail with the right words.
# All of it happens while evaluating: a wrong one stops `nix flake check` with the name of the case.
# The example machine, which is evaluated as a whole besides, is `everything`.
{ self, pkgs }:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) system;

  machine =
    modules:
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = modules ++ [
        {
          nixpkgs.hostPlatform = system;
          system.stateVersion = "26.05";
          boot.loader.grub.enable = false;
          fileSystems."/" = {
            device = "/dev/vda";
            fsType = "ext4";
          };
        }
      ];
    }).config;
  evaluate =
    module:
    machine [
      self.nixosModules.default
      module
    ];
  enabled =
    settings:
    evaluate {
      services.vispyr = {
        enable = true;
      }
      // settings;
    };
  withVersion =
    versions:
    evaluate {
      nixpkgs.overlays = [
        (_: prev: lib.mapAttrs (name: version: prev.${name} // { inherit version; }) versions)
      ];
      services.vispyr.enable = true;
    };

  modules = "${self.inputs.nixpkgs}/nixos/modules";

  units = config: lib.attrNames config.systemd.services;
  runs = name: config: lib.elem name (units config);
  exporters = config: lib.attrNames config.services.vispyr.settings.exporters;
  sources = config: config.services.grafana.provision.datasources.settings.datasources;
  datasources = config: map (source: source.name) (sources config);
  ports = config: lib.sort lib.lessThan config.networking.firewall.allowedTCPPorts;
  serviceOf = name: config: config.systemd.services.${name}.serviceConfig;

  # name = { config; holds = { what = config -> bool; }; } or { config; fails = words; } or { config; warns = words; }
  cases = {
    everything = {
      config = enabled { };
      holds = {
        "every unit is there" =
          config:
          lib.all (name: runs name config) [
            "vispyr-collector"
            "vispyr-store"
            "prometheus"
            "prometheus-node-exporter"
            "tempo"
            "pyroscope"
            "grafana"
            "vispyr-secrets"
            "nginx"
            "vispyr-certificate"
          ];
        "every upstream is a destination" =
          config:
          exporters config == [
            "prometheus"
            "pyroscope"
            "tempo"
          ];
        "Grafana has its sources" =
          config:
          datasources config == [
            "Prometheus"
            "Tempo"
            "Pyroscope"
            "Store"
          ];
        "every link leads to a source that is there" =
          config:
          lib.all (uid: lib.elem uid (map (source: source.uid) (sources config))) (
            lib.concatMap (source: map (c: c.targetUID) (source.correlations or [ ])) (sources config)
          );
        "no password is given where none is wanted" =
          config: lib.all (source: (source.secureJsonData or null) == null) (sources config);
        "no Alertmanager unless it is wanted" = config: !runs "alertmanager" config;
        "no port is open" = config: ports config == [ ];
        "no secret is in the store" =
          config:
          !lib.hasInfix "/nix/store" config.services.grafana.settings.security.secret_key
          && lib.hasPrefix "$__file{/run/credentials/" config.services.grafana.settings.security.admin_password;
      };
    };

    without-prometheus = {
      config = enabled { prometheus.enable = false; };
      holds = {
        "no unit" = config: !runs "prometheus" config;
        "no destination" = config: !lib.elem "prometheus" (exporters config);
        "no source" = config: !lib.elem "Prometheus" (datasources config);
        "Tempo makes no metrics" =
          config: config.services.tempo.settings.overrides.defaults.metrics_generator.processors == [ ];
      };
    };
    without-tempo = {
      config = enabled { tempo.enable = false; };
      holds = {
        "no unit" = config: !runs "tempo" config;
        "no destination" = config: !lib.elem "tempo" (exporters config);
        "no source" = config: !lib.elem "Tempo" (datasources config);
      };
    };
    without-pyroscope = {
      config = enabled { pyroscope.enable = false; };
      holds = {
        "no unit" = config: !runs "pyroscope" config;
        "no destination" = config: !lib.elem "pyroscope" (exporters config);
        "no source" = config: !lib.elem "Pyroscope" (datasources config);
        "Tempo has no link to it" =
          config:
          lib.all (
            source:
            !(source.jsonData ? tracesToProfiles)
            && lib.all (c: c.targetUID != "pyroscope") (source.correlations or [ ])
          ) (sources config);
      };
    };
    store-with-password = {
      config = enabled {
        grafana.storePasswordFile = "/run/secrets/grafana-store";
        settings.tls = {
          certificate_file = "/run/secrets/certificate";
          key_file = "/run/secrets/key";
        };
      };
      holds = {
        "Grafana reads the password as a credential" =
          config:
          lib.elem "store-password:/run/secrets/grafana-store" (serviceOf "grafana" config).LoadCredential
          && (lib.last (sources config)).secureJsonData.password
            == "$__file{/run/credentials/grafana.service/store-password}";
        "and speaks TLS" = config: (lib.last (sources config)).jsonData.sslmode == "require";
      };
    };
    without-grafana = {
      config = enabled { grafana.enable = false; };
      holds = {
        "no unit" =
          config:
          !lib.any (name: runs name config) [
            "grafana"
            "vispyr-secrets"
            "nginx"
          ];
        "status tells of none" = config: !(config.services.vispyr.settings ? grafana);
      };
    };
    without-store = {
      config = enabled { store.enable = false; };
      holds = {
        "the unit is not started" = config: !(config.systemd.services.vispyr-store.wantedBy or [ ] != [ ]);
        "the collector knows" = config: !config.services.vispyr.settings.store.enabled;
        "nobody listens for SQL" =
          config: !(config.systemd.sockets ? vispyr-sql || config.systemd.sockets ? vispyr-postgres);
      };
    };
    without-node-exporter = {
      config = enabled { nodeExporter.enable = false; };
      holds."no unit" = config: !runs "prometheus-node-exporter" config;
    };

    tls-and-tokens = {
      whole = true;
      config = enabled {
        listenAddress = "0.0.0.0";
        openFirewall = true;
        tls.certificate = "/var/lib/acme/a/fullchain.pem";
        tls.key = "/var/lib/acme/a/key.pem";
        auth.tokensFile = "/run/secrets/tokens";
      };
      holds = {
        "the ports of the receivers and of nginx are open" =
          config:
          ports config == [
            80
            443
            4317
            4318
            9090
            9999
          ];
        "systemd listens there" =
          config:
          config.systemd.sockets.vispyr-otlp-grpc.socketConfig.ListenStream == [
            ""
            "0.0.0.0:4317"
          ];
        "status and metrics stay inside" =
          config:
          config.systemd.sockets.vispyr-web.socketConfig.ListenStream == [
            ""
            "127.0.0.1:12345"
          ];
        "both units get the secrets" =
          config:
          lib.all (
            unit: lib.elem "vispyr.tokens:/run/secrets/tokens" (serviceOf unit config).LoadCredential
          ) [
            "vispyr-collector"
            "vispyr-store"
          ];
      };
    };
    ipv6 = {
      config = enabled {
        listenAddress = "::1";
      };
      holds."the address is in brackets" =
        config: config.services.vispyr.settings.receivers.otlp_grpc.listen == "[::1]:4317";
    };

    s3 = {
      config = enabled {
        tempo.s3 = {
          bucket = "traces";
          endpoint = "s3.example:9000";
          environmentFile = "/run/secrets/s3";
        };
      };
      holds = {
        "blocks are there" = config: config.services.tempo.settings.storage.trace.backend == "s3";
        "the key is not in the config" = config: !(config.services.tempo.settings.storage.trace.s3 ? access_key);
        "the unit has it" = config: (serviceOf "tempo" config).EnvironmentFile == "/run/secrets/s3";
      };
    };

    front = {
      config = enabled { };
      holds = {
        "it listens where the receivers do" =
          config: config.services.nginx.virtualHosts.vispyr.listenAddresses == [ "127.0.0.1" ];
        "HTTP is redirected" = config: config.services.nginx.virtualHosts.vispyr.forceSSL;
        "status tells its address" =
          config: config.services.vispyr.settings.grafana.url == "https://localhost";
      };
    };
    front-for-the-network = {
      whole = true;
      config = evaluate {
        networking.hostName = "telemetry";
        services.vispyr = {
          enable = true;
          listenAddress = "0.0.0.0";
          openFirewall = true;
          allowUnprotected = true;
        };
      };
      holds = {
        "of all addresses" = config: config.services.nginx.virtualHosts.vispyr.listenAddresses == [ ];
        "HTTP and HTTPS are open" =
          config:
          lib.all (port: lib.elem port (ports config)) [
            80
            443
          ];
        "Grafana knows by which name" =
          config: config.services.grafana.settings.server.root_url == "https://telemetry/";
        "its cookies are for HTTPS alone" = config: config.services.grafana.settings.security.cookie_secure;
      };
    };
    without-front = {
      config = enabled { front.enable = false; };
      holds = {
        "no unit" = config: !runs "nginx" config && !runs "vispyr-certificate" config;
        "status tells Grafana's own address" =
          config: config.services.vispyr.settings.grafana.url == "http://127.0.0.1:3000";
      };
    };
    domain = {
      whole = true;
      config = enabled { domain = "telemetry.example"; };
      holds = {
        "nginx is in front" = config: config.services.nginx.virtualHosts."telemetry.example".forceSSL;
        "of all addresses" =
          config: config.services.nginx.virtualHosts."telemetry.example".listenAddresses == [ ];
        "its certificate is made here" = runs "vispyr-certificate";
        "HTTP and HTTPS are open" =
          config:
          ports config == [
            80
            443
          ];
      };
    };
    domain-with-acme = {
      config = enabled {
        domain = "telemetry.example";
        acmeEmail = "admin@telemetry.example";
      };
      holds = {
        "its certificate is asked for" =
          config: config.security.acme.certs."telemetry.example".email == "admin@telemetry.example";
        "none is made here" = config: !runs "vispyr-certificate" config;
      };
    };

    own-settings = {
      config = enabled {
        settings.receivers.otlp_grpc.listen = "127.0.0.1:14317";
        settings.receivers.pyroscope.enabled = false;
        settings.wal.max_size = "32GiB";
        memory = "2GiB";
        retention = {
          age = "36h";
          size = "10GiB";
        };
      };
      holds = {
        "the socket moves, too" =
          config:
          config.systemd.sockets.vispyr-otlp-grpc.socketConfig.ListenStream == [
            ""
            "127.0.0.1:14317"
          ];
        "a receiver that is off has no socket" = config: !(config.systemd.sockets ? vispyr-pyroscope);
        "memory is shared out" = config: (serviceOf "prometheus" config).MemoryMax == "372M";
        "retention reaches Prometheus" =
          config:
          config.services.prometheus.retentionTime == "36h"
          && lib.elem "--storage.tsdb.retention.size=10GB" config.services.prometheus.extraFlags;
        "retention reaches Pyroscope" = config: config.services.pyroscope.settings.limits.max_query_lookback == "36h";
        "retention reaches the store" = config: config.services.vispyr.settings.store.retention.max_age == "36h";
      };
    };
    alertmanager = {
      config = enabled {
        alerting.alertmanager.enable = true;
        domain = "telemetry.example";
        acmeEmail = "a@telemetry.example";
      };
      holds = {
        "it runs" = config: runs "alertmanager" config;
        "Prometheus sends to it" = config: lib.hasInfix "127.0.0.1:9093" config.services.prometheus.configText;
      };
    };
    users-prometheus = {
      config = evaluate {
        services.vispyr.enable = true;
        services.prometheus.scrapeConfigs = [ { job_name = "mine"; } ];
      };
      holds."what a user says of Prometheus is kept" =
        config: lib.hasInfix ''"job_name":"mine"'' config.services.prometheus.configText;
    };

    newer-upstreams = {
      config = withVersion {
        tempo = "3.0.2";
        pyroscope = "2.2.1";
      };
      holds = {
        "Tempo 3 has a live store" =
          config: config.services.tempo.settings ? live_store && !(config.services.tempo.settings ? ingester);
        "Pyroscope 2 has a metastore" = config: config.services.pyroscope.settings ? metastore;
        "retention" =
          config:
          config.services.tempo.settings.overrides.defaults.compaction.block_retention == "720h"
          && config.services.pyroscope.settings.limits.retention_period == "30d";
      };
    };
    older-upstreams = {
      whole = true;
      config = withVersion {
        tempo = "2.10.5";
        pyroscope = "1.20.4";
        grafana = "13.0.1";
        prometheus = "3.11.0";
      };
      holds = {
        "Tempo 2 has ingester and compactor" =
          config:
          config.services.tempo.settings ? ingester
          && config.services.tempo.settings ? compactor
          && !(config.services.tempo.settings ? live_store);
        "Tempo 2 makes numbers of spans, too" =
          config:
          lib.elem "local-blocks" config.services.tempo.settings.overrides.defaults.metrics_generator.processors;
        "Pyroscope 1 has no metastore" = config: !(config.services.pyroscope.settings ? metastore);
        "retention" =
          config:
          config.services.tempo.settings.compactor.compaction.block_retention == "720h"
          && config.services.pyroscope.settings.limits.compactor_blocks_retention_period == "30d";
      };
    };

    agent = {
      whole = true;
      config = evaluate {
        imports = [ self.nixosModules.agent ];
        services.vispyr.agent = {
          enable = true;
          backend = "telemetry.example";
          tokenFile = "/run/secrets/token";
        };
      };
      holds = {
        "nothing but collector, node_exporter and what asks it" =
          config:
          runs "vispyr-collector" config
          && runs "prometheus-node-exporter" config
          && config.services.prometheus.enableAgentMode
          && !lib.any (name: runs name config) [
            "tempo"
            "pyroscope"
            "grafana"
          ];
        "everything goes to the backend" =
          config:
          exporters config == [
            "backend"
            "backend-metrics"
            "backend-profiles"
          ];
        "over TLS" =
          config: lib.hasPrefix "https://" config.services.vispyr.settings.exporters.backend.url;
        "with the token" =
          config:
          lib.elem "vispyr.backend-token:/run/secrets/token"
            (serviceOf "vispyr-collector" config).LoadCredential;
      };
    };

  }
  # From NixOS 25.11 on.
  // lib.optionalAttrs (builtins.pathExists "${modules}/system/service/systemd/system.nix") {
    modular-service = {
      whole = true;
      config = machine [
        {
          system.services.telemetry = {
            imports = [ self.packages.${system}.vispyr.services.default ];
            vispyr.settings.wal.max_size = "2GiB";
          };
        }
      ];
      holds = {
        "a unit of its name" = runs "telemetry";
        "it runs the program" =
          config: lib.hasInfix "/bin/vispyr\" \"serve\"" (toString (serviceOf "telemetry" config).ExecStart);
        "in the sandbox" = config: (serviceOf "telemetry" config).ProtectSystem == "strict";
      };
    };
  }
  // {
    # Mistakes.
    unprotected = {
      config = enabled { listenAddress = "0.0.0.0"; };
      fails = "services.vispyr.auth.tokensFile, or both";
    };
    firewall-for-nobody = {
      config = enabled { openFirewall = true; };
      fails = "Set services.vispyr.listenAddress";
    };
    certificate-without-key = {
      config = enabled { tls.certificate = "/etc/certificate.pem"; };
      fails = "certificate is set without services.vispyr.tls.key";
    };
    key-without-certificate = {
      config = enabled { tls.key = "/etc/key.pem"; };
      fails = "key is set without services.vispyr.tls.certificate";
    };
    client-ca-without-tls = {
      config = enabled { tls.clientCA = "/etc/ca.pem"; };
      fails = "services.vispyr.tls.clientCA";
    };
    acme-without-domain = {
      config = enabled { acmeEmail = "admin@telemetry.example"; };
      fails = "Set services.vispyr.domain";
    };
    domain-without-grafana = {
      config = enabled {
        domain = "telemetry.example";
        grafana.enable = false;
      };
      fails = "services.vispyr.grafana.enable is false";
    };
    domain-without-front = {
      config = enabled {
        domain = "telemetry.example";
        front.enable = false;
      };
      fails = "services.vispyr.front.enable is false";
    };
    rules-without-prometheus = {
      config = enabled {
        prometheus.enable = false;
        alerting.rules = [ { name = "none"; } ];
      };
      fails = "services.vispyr.alerting.rules";
    };
    s3-without-tempo = {
      config = enabled {
        tempo.enable = false;
        tempo.s3 = {
          bucket = "traces";
          endpoint = "s3.example";
        };
      };
      fails = "services.vispyr.tempo.s3";
    };
    s3-with-scheme = {
      config = enabled {
        tempo.s3 = {
          bucket = "traces";
          endpoint = "http://s3.example";
        };
      };
      fails = "services.vispyr.tempo.s3.insecure";
    };
    too-little-memory = {
      config = enabled { memory = "512MiB"; };
      fails = "1GiB at least";
    };
    agent-token-in-the-clear = {
      config = evaluate {
        imports = [ self.nixosModules.agent ];
        services.vispyr.agent = {
          enable = true;
          backend = "telemetry.example";
          tokenFile = "/run/secrets/token";
          tls.enable = false;
        };
      };
      fails = "services.vispyr.agent.tls.enable is false";
    };

    # Allowed, but said.
    open-to-all = {
      config = enabled {
        listenAddress = "0.0.0.0";
        allowUnprotected = true;
      };
      warns = "services.vispyr.allowUnprotected";
    };
    tokens-in-the-clear = {
      config = enabled {
        listenAddress = "0.0.0.0";
        auth.tokensFile = "/run/secrets/tokens";
      };
      warns = "tokens and passwords cross the network in the clear";
    };
  };

  judge =
    name: case:
    let
      failed = map (a: a.message) (lib.filter (a: !a.assertion) case.config.assertions);
      expected = lib.optional (case ? fails) case.fails;
      unexpected = lib.filter (message: !lib.any (words: lib.hasInfix words message) expected) failed;
      missing = lib.filter (words: !lib.any (lib.hasInfix words) failed) expected;
      broken = lib.attrNames (lib.filterAttrs (_: holds: !holds case.config) (case.holds or { }));
      unsaid = lib.filter (words: !lib.any (lib.hasInfix words) case.config.warnings) (
        lib.optional (case ? warns) case.warns
      );
      say = what: list: lib.concatMapStrings (one: "\n  ${what}: ${one}") list;
      wrong =
        say "fails, but should not" unexpected
        + say "should fail with" missing
        + say "does not hold" broken
        + say "should warn of" unsaid;
      # All of it, also what nobody asked for above; that takes its time, so not for every case.
      whole =
        if case.whole or false then
          builtins.unsafeDiscardStringContext case.config.system.build.toplevel.drvPath
        else
          "";
    in
    if wrong != "" then
      throw "case ${name} of nix/cases.nix:${wrong}"
    else
      builtins.seq whole "${name}: ${
        if case ? fails then
          "fails with \"${case.fails}\""
        else if case ? warns then
          "warns of \"${case.warns}\""
        else
          lib.concatStringsSep ", " (lib.attrNames case.holds)
      }";
in
pkgs.writeText "vispyr-module-cases" (lib.concatLines (lib.mapAttrsToList judge cases))
