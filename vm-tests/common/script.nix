# The test script in `file`, with what all scenarios share before it.
file:
{ nodes, ... }:
let
  isBackend = node: node.services ? vispyr && node.services.vispyr.enable && node.services.vispyr.store.enable;
  inherit (builtins.head (builtins.filter isBackend (builtins.attrValues nodes))) services;
in
''
  PROMETHEUS = ${toString services.prometheus.port}
  TEMPO = ${toString services.tempo.settings.server.http_listen_port}
  PYROSCOPE = ${toString services.pyroscope.settings.server.http_listen_port}
''
+ builtins.readFile ./scenario.py
+ builtins.readFile file
