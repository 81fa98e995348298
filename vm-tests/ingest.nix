# Every protocol in, every upstream out, the store beside them: all counts are equal.
{ self }:
{
  name = "ingest";
  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr.enable = true;
  };
  testScript = import ./common/script.nix ./ingest.py;
}
