# The collector's unit is the package's; here is what depends on the options.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.vispyr;
  ports = import ./ports.nix;
  memory = import ./memory.nix { inherit lib cfg; };
  toml = pkgs.formats.toml { };

  file = toml.generate "vispyr.toml" cfg.settings;
  # The files that it names are this machine's, not the builder's.
  checked =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      pkgs.runCommandLocal "vispyr.toml" { } ''
        ${lib.getExe cfg.package} check --no-files ${file}
        ln -s ${file} $out
      ''
    else
      file;

  # What SIGHUP takes over; anything else needs a new start.
  reloadable = [
    "admission"
    "auth"
    "dead_letters"
    "exporters"
    "tls"
  ];

  listen =
    port:
    lib.attrByPath (port.section ++ [ "listen" ]) port.listen cfg.settings;
  isOn = port: lib.attrByPath (port.section ++ [ "enabled" ]) true cfg.settings;
  ofStore = [
    "sql"
    "postgres"
  ];
  opened = lib.filterAttrs (
    name: port: isOn port && (!lib.elem name ofStore || cfg.store.enable)
  ) ports;
  portOf = address: lib.toInt (lib.last (lib.splitString ":" address));
  withAddress =
    address: port:
    let
      host = if lib.hasInfix ":" address then "[${address}]" else address;
    in
    "${host}:${toString (portOf port.listen)}";

  # For people: the commands know this machine's config by themselves.
  command = pkgs.writeShellScriptBin "vispyr" ''
    export VISPYR_CONFIG=''${VISPYR_CONFIG-/etc/vispyr/vispyr.toml}
    exec ${lib.getExe cfg.package} "$@"
  '';

  credential = name: "$CREDENTIALS_DIRECTORY/vispyr.${name}";
  protected = lib.filterAttrs (_: path: path != null) {
    certificate = cfg.tls.certificate;
    key = cfg.tls.key;
    client-ca = cfg.tls.clientCA;
    tokens = cfg.auth.tokensFile;
    users = cfg.auth.usersFile;
  };
  load = lib.mapAttrsToList (name: path: "vispyr.${name}:${path}");
  defaults = lib.mapAttrsRecursive (_: lib.mkDefault);
in
{
  config = lib.mkIf cfg.enable {
    services.vispyr.settings = lib.mkMerge [
      (lib.mkMerge (
        map (
          port:
          lib.setAttrByPath port.section (defaults (
            { listen = withAddress cfg.listenAddress port; }
            // lib.optionalAttrs cfg.allowUnprotected { allow_unprotected = true; }
          ))
        ) (lib.filter (port: port.receiver) (lib.attrValues ports))
      ))
      (lib.mkIf (cfg.tls.certificate != null) {
        tls = defaults (
          {
            certificate_file = credential "certificate";
            key_file = credential "key";
          }
          // lib.optionalAttrs (cfg.tls.clientCA != null) { client_ca_file = credential "client-ca"; }
        );
        # Prometheus and `vispyr status` ask on 127.0.0.1.
        web.tls.enabled = lib.mkDefault false;
      })
      (lib.mkIf (cfg.auth.tokensFile != null || cfg.auth.usersFile != null) {
        auth = defaults (
          lib.optionalAttrs (cfg.auth.tokensFile != null) { bearer_tokens_file = credential "tokens"; }
          // lib.optionalAttrs (cfg.auth.usersFile != null) { basic_users_file = credential "users"; }
        );
        web.auth.enabled = lib.mkDefault false;
      })
      { exporters = defaults cfg.extraDestinations; }
    ];

    environment.etc."vispyr/vispyr.toml".source = checked;
    environment.systemPackages = [
      (lib.hiPrio command)
      # Man pages and completions.
      cfg.package
    ];

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall (
      map (port: portOf (listen port)) (
        lib.filter (port: port.receiver && isOn port) (lib.attrValues ports)
      )
    );

    systemd.packages = [ cfg.package ];
    systemd.sockets = lib.mapAttrs' (
      _: port:
      lib.nameValuePair port.socket {
        wantedBy = [ "sockets.target" ];
        # The unit's own first entry is taken back.
        socketConfig.ListenStream = [
          ""
          (listen port)
        ];
      }
    ) opened;
    systemd.services.vispyr-collector = {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ (builtins.toJSON (removeAttrs cfg.settings reloadable)) ];
      reloadTriggers = [ config.environment.etc."vispyr/vispyr.toml".source ];
      serviceConfig = memory.limits "collector" // {
        LoadCredential = load (protected // cfg.credentials);
      };
    };
    systemd.services.vispyr-store = lib.mkIf cfg.store.enable {
      serviceConfig.LoadCredential = load protected;
    };
  };
}
