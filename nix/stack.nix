# The whole stack without NixOS and without root: process-compose runs what the module would, with the
# module's own settings, below one folder.
{ self, pkgs }:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) system;
  inherit (self.packages.${system}) vispyr;

  machine =
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.default
        {
          nixpkgs.hostPlatform = system;
          services.vispyr = {
            enable = true;
            # It wants more of the machine than a user may look at.
            nodeExporter.enable = false;
            # Ports below 1024 are root's.
            front.enable = false;
          };
        }
      ];
    }).config.services;

  # What is below /var/lib there is below the folder here.
  moved = lib.replaceStrings [ "/var/lib/" ] [ "@data@/" ];
  json = value: moved (builtins.toJSON value);
  toml = pkgs.formats.toml { };

  files = {
    "prometheus.yml" = moved machine.prometheus.configText;
    "tempo.yaml" = json machine.tempo.settings;
    "pyroscope.yaml" = json machine.pyroscope.settings;
    "grafana/datasources/vispyr.yaml" = json {
      apiVersion = 1;
      datasources = map (
        source: lib.filterAttrs (name: value: name != "_module" && value != null) source
      ) machine.grafana.provision.datasources.settings.datasources;
    };
    "grafana/dashboards/vispyr.yaml" = json {
      apiVersion = 1;
      providers = [
        {
          name = "vispyr";
          folder = "Vispyr";
          type = "file";
          options.path = ../config/grafana/dashboards;
        }
      ];
    };
    "grafana.ini" = lib.generators.toINI { } {
      paths = {
        data = "@data@/grafana";
        logs = "@data@/grafana/log";
        plugins = "@data@/grafana/plugins";
        provisioning = "@data@/config/grafana";
      };
      server = {
        http_addr = "127.0.0.1";
        http_port = 3000;
      };
      security = {
        secret_key = "$__file{@data@/secrets/grafana-secret-key}";
        admin_password = "$__file{@data@/secrets/grafana-admin-password}";
      };
      analytics = {
        reporting_enabled = false;
        check_for_updates = false;
        check_for_plugin_updates = false;
      };
      plugins.preinstall_disabled = true;
      dashboards.default_home_dashboard_path = "${../config/grafana/dashboards}/application.json";
    };
    "process-compose.yaml" = json {
      version = "0.5";
      processes = {
        vispyr = process (ready 12345 "/-/ready") [
          (lib.getExe vispyr)
          "serve"
          "--config=@data@/config/vispyr.toml"
          "--data-dir=@data@/vispyr"
        ];
        prometheus = process (ready machine.prometheus.port "/-/ready") (
          [
            (lib.getExe machine.prometheus.package)
            "--config.file=@data@/config/prometheus.yml"
            "--storage.tsdb.path=@data@/prometheus"
            "--storage.tsdb.retention.time=${machine.prometheus.retentionTime}"
            "--web.listen-address=127.0.0.1:${toString machine.prometheus.port}"
          ]
          ++ machine.prometheus.extraFlags
        );
        tempo =
          process (ready 3200 "/ready") [
            "${pkgs.tempo}/bin/tempo"
            "--config.file=@data@/config/tempo.yaml"
          ]
          // {
            # Tempo 3 does not end by itself once it has been asked something: its queue of queries waits.
            # The others have no such limit, and what has one is waited for before the next is stopped.
            shutdown.timeout_seconds = 15;
          };
        pyroscope = process (ready 4040 "/ready") [
          (lib.getExe machine.pyroscope.package)
          "--config.file=@data@/config/pyroscope.yaml"
        ];
        grafana = process (ready 3000 "/api/health") [
          "${machine.grafana.package}/bin/grafana"
          "server"
          "-homepath"
          "${machine.grafana.package}/share/grafana"
          "-config"
          "@data@/config/grafana.ini"
        ];
      };
    };
  };
  process = readiness: command: {
    # The folder's name may have spaces.
    command = "exec " + lib.concatMapStringsSep " " (word: "'${word}'") command;
    readiness_probe.http_get = readiness;
    availability.restart = "always";
  };
  ready = port: path: {
    host = "127.0.0.1";
    scheme = "http";
    inherit port path;
  };
  templates = pkgs.linkFarm "vispyr-stack" (
    lib.mapAttrsToList (name: text: {
      inherit name;
      path = pkgs.writeText (baseNameOf name) text;
    }) files
    ++ [
      {
        name = "vispyr.toml";
        path = toml.generate "vispyr.toml" (
          lib.recursiveUpdate machine.vispyr.settings {
            grafana.admin_password_file = "@data@/secrets/grafana-admin-password";
          }
        );
      }
    ]
  );
in
pkgs.writeShellApplication {
  name = "vispyr-stack";
  runtimeInputs = [
    pkgs.bash
    pkgs.coreutils
    pkgs.findutils
    pkgs.gnused
    pkgs.process-compose
  ];
  text = ''
    # vispyr-stack [DIR] [ARGUMENT OF PROCESS-COMPOSE]...: DIR has all data, by default where programs keep theirs.
    data=''${XDG_DATA_HOME:-$HOME/.local/share}/vispyr-stack
    if [ $# -gt 0 ] && [ "''${1#-}" = "$1" ]; then data=$1; shift; fi
    case $data in
      *[\"\'\\\|\&\$]*) echo "vispyr-stack: the folder's name has one of \" ' \\ | & \$: $data" >&2; exit 2 ;;
    esac
    umask 077
    mkdir -p "$data"/{config,grafana,prometheus,pyroscope,secrets,tempo,vispyr}
    data=$(realpath "$data")
    for secret in grafana-secret-key grafana-admin-password; do
      [ -s "$data/secrets/$secret" ] || head -c 32 /dev/urandom | base64 -w0 | tr '+/=' 'xyz' >"$data/secrets/$secret"
    done
    (cd ${templates}; find -L . -type f) | while read -r file; do
      mkdir -p "$(dirname "$data/config/$file")"
      sed "s|@data@|$data|g" "${templates}/$file" >"$data/config/$file"
    done
    echo "Grafana: http://127.0.0.1:3000, user admin, password $(cat "$data/secrets/grafana-admin-password")"
    cd "$data"
    # A socket, where process-compose would take port 8080: `process-compose attach` and `down` find it there.
    exec process-compose --use-uds --unix-socket "$data/process-compose.sock" -f "$data/config/process-compose.yaml" up "$@"
  '';
}
