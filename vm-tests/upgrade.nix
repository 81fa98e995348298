# The data of a version before, as tests/upgrade/make made it: all rows are there, and what waited for the
# upstreams arrives. Data of a version to come is refused with a sentence.
{ self }:
{
  name = "upgrade";
  nodes.machine =
    { lib, pkgs, ... }:
    {
      imports = [ self.nixosModules.default ];
      services.vispyr = {
        enable = true;
        # The data grows older with each day.
        retention.age = "3650d";
      };
      # As in the module, but for the window: nothing is too old. What Prometheus finds itself would only
      # be among it.
      services.prometheus.configText = lib.mkForce (
        builtins.toJSON {
          storage.tsdb.out_of_order_time_window = "87600h";
          otlp = {
            translation_strategy = "UnderscoreEscapingWithSuffixes";
            keep_identifying_resource_attributes = true;
          };
        }
      );
      systemd.services.earlier-data = rec {
        requiredBy = [
          "vispyr-collector.service"
          "vispyr-store.service"
        ];
        before = requiredBy;
        path = [
          pkgs.gnutar
          pkgs.xz
        ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
        };
        # systemd gives it to the units' users.
        script = ''
          [ ! -e /var/lib/private/vispyr ] || exit 0
          mkdir -p -m 700 /var/lib/private
          mkdir -m 755 /var/lib/private/vispyr
          tar -xJf ${../tests/upgrade/data.tar.xz} -C /var/lib/private/vispyr
        '';
      };
    };
  testScript = arguments: ''
    EXPECTED: dict = ${builtins.readFile ../tests/upgrade/expected.json}
  ''
  + import ./common/script.nix ./upgrade.py arguments;
}
