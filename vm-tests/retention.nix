# What the store keeps is bounded by age and by size, and ingest never pays for it.
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
            snapshots = "1s";
            logs.max_age = "1m";
            traces.max_size = "1MiB";
          };
        };
        # For so long after that a dropped file stays.
        sql.time_limit = "25s";
      };
    };
  };
  testScript = import ./common/script.nix ./retention.py;
}
