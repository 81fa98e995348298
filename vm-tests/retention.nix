# What the store keeps is bounded by age, by size and by its disk, and ingest never pays for it.
{ self }:
{
  name = "retention";
  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr = {
      enable = true;
      settings = {
        store = {
          seal_interval = "2s";
          retention = {
            min_free_disk = "8MiB";
            snapshots = "1s";
            logs.max_age = "1m";
            traces.max_size = "1MiB";
          };
        };
        # For so long after that a dropped file stays.
        sql.time_limit = "25s";
      };
    };
    services.prometheus.globalConfig = {
      scrape_interval = "2s";
      evaluation_interval = "2s";
    };
  };
  testScript = import ./common/script.nix ./retention.py;
}
