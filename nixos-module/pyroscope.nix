# Pyroscope, for profiles: config/pyroscope says the same as a file, for Pyroscope 2.
{ config, lib, ... }:
let
  cfg = config.services.vispyr;
  upstream = import ./upstream.nix { inherit lib cfg; };
  here = "127.0.0.1";
  state = "/var/lib/pyroscope";
  inherit (cfg.retention) age;

  isTwo = lib.versionAtLeast config.services.pyroscope.package.version "2";

  two = {
    architecture_storage = "v2";
    # The two addresses are those of its own gRPC: without them a single process asks port 9095, and
    # is not ready for half a minute.
    metastore = {
      address = "${here}:9295";
      data_dir = "${state}/metastore";
      min_ready_duration = "0s";
      raft = {
        dir = "${state}/raft";
        snapshots_dir = "${state}/raft-snapshots";
        server_id = "${here}:9299";
        bind_address = "${here}:9299";
        advertise_address = "${here}:9299";
      };
    };
    query_backend.address = "${here}:9295";
    segment_writer.lifecycler = {
      address = here;
      min_ready_duration = "0s";
      ring.kvstore.store = "inmemory";
    };
    compaction_worker.temp_dir = "${state}/compaction";
    overrides_exporter.ring.instance_addr = here;
    limits.retention_period = age;
  };
  one = {
    pyroscopedb.data_path = "${state}/head";
    ingester.lifecycler = {
      address = here;
      min_ready_duration = "0s";
      ring.kvstore.store = "inmemory";
    };
    store_gateway = {
      sharding_ring.instance_addr = here;
      sharding_ring.kvstore.store = "inmemory";
      bucket_store.sync_dir = "${state}/sync";
    };
    compactor = {
      data_dir = "${state}/compactor";
      sharding_ring.instance_addr = here;
      sharding_ring.kvstore.store = "inmemory";
    };
    limits.compactor_blocks_retention_period = age;
  };

  settings = {
    server = {
      http_listen_address = here;
      http_listen_port = 4040;
      grpc_listen_address = here;
      # 9095 and 7946, the defaults, are Tempo's too.
      grpc_listen_port = 9295;
      log_level = "warn";
    };
    # Without names of its own it looks for an address on eth0, which need not exist.
    memberlist = {
      bind_addr = [ here ];
      bind_port = 7947;
      advertise_addr = here;
    };
    storage = {
      backend = "filesystem";
      filesystem.dir = "${state}/blocks";
    };
    distributor.ring = {
      instance_addr = here;
      kvstore.store = "inmemory";
    };
    frontend.instance_addr = here;
    limits = {
      # After an outage old profiles come late.
      reject_older_than = "0s";
      # The collector hands over what has gathered as fast as it can.
      ingestion_rate_mb = 1024;
      ingestion_burst_size_mb = 1024;
      # Node's heap profiles and long lists of labels go beyond the defaults (4 MiB, 16,000, 30).
      max_profile_size_bytes = 67108864;
      max_profile_stacktrace_samples = 1000000;
      max_label_names_per_series = 128;
      # All that is kept may be asked.
      max_query_lookback = age;
      max_query_length = age;
    };
    self_profiling.disable_push = true;
    analytics.reporting_enabled = false;
  };
in
{
  config = lib.mkIf (cfg.enable && cfg.pyroscope.enable) {
    services.pyroscope = {
      enable = true;
      # One revision of nixpkgs gives it no default.
      configFile = null;
      settings = lib.mapAttrsRecursive (_: lib.mkDefault) (
        lib.recursiveUpdate settings (if isTwo then two else one)
      );
    };

    services.vispyr.settings.exporters.pyroscope = lib.mapAttrs (_: lib.mkDefault) {
      type = "pyroscope";
      url = "http://${here}:4040";
    };

    systemd.services.pyroscope = upstream "pyroscope" { };
  };
}
