# Secrets that nobody gave are made at the first start. Root alone can read them; units get theirs as
# credentials.
{ config, lib, ... }:
let
  cfg = config.services.vispyr;
  hardening = import ./hardening.nix { inherit lib; };
in
{
  config = lib.mkIf (cfg.enable && cfg.grafana.enable) {
    systemd.services.vispyr-secrets = {
      description = "Vispyr: secrets of this machine";
      before = [ "grafana.service" ];
      requiredBy = [ "grafana.service" ];
      # A secret that is there is never made again. It is written beside its place first, so that it
      # is whole or not there.
      script = ''
        make() {
          [ ! -s "$1" ] || return 0
          head -c 32 /dev/urandom | base64 -w0 | tr -- '+/=' 'xyz' > "$1.new"
          sync "$1.new"
          mv "$1.new" "$1"
        }
        cd "$STATE_DIRECTORY"
        make grafana-secret-key
        ${lib.optionalString (cfg.grafana.adminPasswordFile == null) "make grafana-admin-password"}
      '';
      serviceConfig = lib.mkMerge [
        {
          Type = "oneshot";
          RemainAfterExit = true;
          StateDirectory = "vispyr-secrets";
          StateDirectoryMode = "0700";
        }
        (hardening.sandboxed {
          PrivateNetwork = true;
          RestrictAddressFamilies = "none";
        })
      ];
    };
  };
}
