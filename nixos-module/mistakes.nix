# What cannot work together fails while evaluating, with the option and the way out; what is allowed
# but unwise is said.
{ config, lib, ... }:
let
  cfg = config.services.vispyr;
  memory = import ./memory.nix { inherit lib cfg; };
  isLoopback = import ./loopback.nix { inherit lib; } cfg.listenAddress;
  hasTLS = cfg.tls.certificate != null;
  hasAuth = cfg.auth.tokensFile != null || cfg.auth.usersFile != null;
  isProtected = hasTLS || hasAuth;
  never = condition: message: {
    assertion = !condition;
    inherit message;
  };
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      (never (!isLoopback && !isProtected && !cfg.allowUnprotected) ''
        services.vispyr.listenAddress is ${cfg.listenAddress}: other machines reach the receivers, and nothing protects them.
        Set services.vispyr.tls.certificate and .key, or services.vispyr.auth.tokensFile, or both;
        or services.vispyr.allowUnprotected = true if everybody on that network may send.
      '')
      (never (cfg.openFirewall && isLoopback) ''
        services.vispyr.openFirewall opens ports on which only this machine can connect.
        Set services.vispyr.listenAddress to an address that others reach, such as "0.0.0.0", or leave openFirewall out.
      '')
      (never ((cfg.tls.certificate == null) != (cfg.tls.key == null)) ''
        services.vispyr.tls.${if hasTLS then "certificate is set without services.vispyr.tls.key" else "key is set without services.vispyr.tls.certificate"}.
        A certificate needs its key: set both or neither.
      '')
      (never (cfg.tls.clientCA != null && !hasTLS) ''
        services.vispyr.tls.clientCA asks clients for a certificate, which they show in TLS alone.
        Set services.vispyr.tls.certificate and services.vispyr.tls.key, too.
      '')
      (never (cfg.acmeEmail != null && cfg.domain == null) ''
        services.vispyr.acmeEmail asks for a certificate, and services.vispyr.domain does not say for which name.
        Set services.vispyr.domain, or leave acmeEmail out.
      '')
      (never (cfg.domain != null && !cfg.grafana.enable) ''
        services.vispyr.domain is the name under which Grafana is reached, and services.vispyr.grafana.enable is false.
        Enable it, or leave domain out.
      '')
      (never (cfg.domain != null && !cfg.front.enable) ''
        services.vispyr.domain is the name under which nginx shows Grafana, and services.vispyr.front.enable is false.
        Enable it, or leave domain out: another server's name for Grafana is services.grafana.settings.server.domain.
      '')
      (never (cfg.alerting.rules != [ ] && !cfg.prometheus.enable) ''
        services.vispyr.alerting.rules are for Prometheus, and services.vispyr.prometheus.enable is false.
        Enable it, or leave the rules out.
      '')
      (never (cfg.alerting.alertmanager.enable && !cfg.prometheus.enable) ''
        services.vispyr.alerting.alertmanager gets its alerts from Prometheus, and services.vispyr.prometheus.enable is false.
        Enable it, or leave Alertmanager out.
      '')
      (never (cfg.tempo.s3 != null && !cfg.tempo.enable) ''
        services.vispyr.tempo.s3 says where Tempo keeps its traces, and services.vispyr.tempo.enable is false.
        Enable it, or leave s3 out.
      '')
      (never (memory.budget < 1024) ''
        services.vispyr.memory is ${cfg.memory}: the units together need 1GiB at least.
        Set it to "1GiB" or more, or disable what you do not need.
      '')
      (never (cfg.tempo.s3 != null && lib.hasInfix "://" cfg.tempo.s3.endpoint) ''
        services.vispyr.tempo.s3.endpoint is ${cfg.tempo.s3.endpoint or ""}: Tempo wants host and port alone.
        Leave out what is before "://"; services.vispyr.tempo.s3.insecure = true stands for http.
      '')
    ];

    warnings =
      lib.optional (!isLoopback && cfg.allowUnprotected && !isProtected) ''
        services.vispyr.allowUnprotected: everybody who reaches ${cfg.listenAddress} can send telemetry to this machine.
      ''
      ++ lib.optional (!isLoopback && hasAuth && !hasTLS) ''
        services.vispyr.auth without services.vispyr.tls: tokens and passwords cross the network in the clear.
      '';
  };
}
