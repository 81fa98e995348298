# Tempo, for traces: config/tempo says the same as a file, for Tempo 3.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.vispyr;
  upstream = import ./upstream.nix { inherit lib cfg; };
  here = "127.0.0.1";
  state = "/var/lib/tempo";
  inherit (cfg.tempo) s3;

  # nixpkgs' module has no option for the package, so this is what runs.
  isThree = lib.versionAtLeast pkgs.tempo.version "3";

  # Tempo answers when it has spans in memory; only after these times are they in a file. What a
  # killed Tempo had answered for in between is lost, and no sender can know it.
  three = {
    live_store = {
      ring.instance_addr = here;
      wal.path = "${state}/live-store";
      shutdown_marker_dir = "${state}/live-store-shutdown";
      max_trace_idle = "1s";
      max_trace_live = "2s";
      flush_check_period = "1s";
    };
    backend_worker = {
      ring.instance_addr = here;
      # A stop takes as long even where there is no job; one that is cut off is done again.
      finish_on_shutdown_timeout = "5s";
    };
    backend_scheduler.local_work_path = "${state}/scheduler";
    query_frontend.query_end_cutoff = "1s";
    overrides.defaults.compaction.block_retention = age;
  };
  two = {
    ingester = {
      lifecycler = {
        address = here;
        min_ready_duration = "0s";
      };
      trace_idle_period = "1s";
      trace_live_period = "2s";
      flush_check_period = "1s";
    };
    compactor = {
      ring.instance_addr = here;
      compaction.block_retention = age;
    };
    # What Tempo 3 does by itself: numbers made of spans when they are asked for.
    metrics_generator = {
      processor.local_blocks = {
        filter_server_spans = false;
        flush_to_storage = true;
      };
      traces_storage.path = "${state}/generator-traces";
    };
    overrides.defaults.metrics_generator.processors = processors ++ [ "local-blocks" ];
  };

  processors = lib.optionals cfg.prometheus.enable [
    "span-metrics"
    "service-graphs"
  ];

  # Tempo's durations have no days.
  age =
    let
      parts = builtins.match "([0-9]+)([hd])" cfg.retention.age;
      count = lib.toInt (builtins.elemAt parts 0);
    in
    "${toString (if builtins.elemAt parts 1 == "d" then count * 24 else count)}h";

  settings = {
    server = {
      http_listen_address = here;
      http_listen_port = 3200;
      grpc_listen_address = here;
      # 9095 and 7946, the defaults, are Pyroscope's too.
      grpc_listen_port = 9195;
      log_level = "warn";
    };
    # Without names of its own it looks for an address on eth0, which need not exist.
    memberlist = {
      bind_addr = [ here ];
      bind_port = 7945;
      advertise_addr = here;
    };
    distributor = {
      ring.instance_addr = here;
      receivers.otlp.protocols.grpc = {
        endpoint = "${here}:4417";
        # What one item that cannot be split may take; joined batches stay at 1 MiB.
        max_recv_msg_size_mib = 64;
      };
    };
    querier.frontend_worker.frontend_address = "${here}:9195";
    metrics_generator = {
      ring.instance_addr = here;
      # The agent makes metrics of the same names: this tells them apart.
      registry.external_labels.source = "tempo";
      processor.span_metrics = {
        # Few by convention, unlike http.target and url.path, which hold what the user typed.
        dimensions = [ "http.route" ];
        # The name that the agent's metrics have for it, beside Tempo's own, service.
        dimension_mappings = [
          {
            name = "service_name";
            source_labels = [ "service.name" ];
            join = "";
          }
        ];
      };
      storage = {
        path = "${state}/generator";
      }
      // lib.optionalAttrs cfg.prometheus.enable {
        remote_write = [
          {
            url = "http://${here}:${toString config.services.prometheus.port}/api/v1/write";
            send_exemplars = true;
          }
        ];
      };
    };
    storage.trace = {
      backend = if s3 == null then "local" else "s3";
      wal.path = "${state}/wal";
    }
    // (
      if s3 == null then
        { local.path = "${state}/blocks"; }
      else
        {
          s3 = {
            inherit (s3) bucket endpoint insecure;
          }
          // lib.optionalAttrs (s3.region != null) { inherit (s3) region; };
        }
    );
    overrides.defaults = {
      # Spans over these limits Tempo drops *after* it has answered with success (the first two), or
      # refuses for some time: 0 is none. The collector's own limits stay.
      ingestion = {
        max_traces_per_user = 0;
        rate_limit_bytes = 1000000000;
        burst_size_bytes = 1000000000;
        # "Come back later" for what is over the rate, rather than "never again".
        retry_info_enabled = true;
      };
      global.max_bytes_per_trace = 0;
      metrics_generator = { inherit processors; };
    };
    usage_report.reporting_enabled = false;
  };
in
{
  config = lib.mkIf (cfg.enable && cfg.tempo.enable) {
    services.tempo = {
      enable = true;
      settings = lib.mapAttrsRecursive (_: lib.mkDefault) (
        lib.recursiveUpdate settings (if isThree then three else two)
      );
    };

    services.vispyr.settings.exporters.tempo = lib.mapAttrs (_: lib.mkDefault) {
      type = "otlp";
      url = "http://${here}:4417";
      signals = [ "traces" ];
      join_compressed = true;
    };

    systemd.services.tempo = upstream "tempo" {
      exceptions = {
        # Its JSON library (bytedance/sonic) makes machine code when it starts, and panics where it cannot.
        MemoryDenyWriteExecute = false;
      };
      serviceConfig = lib.mkMerge [
        # Tempo 3 does not end by itself once it was queried; what it has acknowledged is in its log.
        { TimeoutStopSec = 30; }
        (lib.mkIf (s3 != null && s3.environmentFile != null) {
          EnvironmentFile = s3.environmentFile;
        })
      ];
    };
  };
}
