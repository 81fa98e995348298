# One machine with everything at its default comes up, and stays up.
{ self }:
{
  name = "smoke";

  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr.enable = true;
  };

  testScript = ''
    machine.wait_for_unit("vispyr-collector.service")
    machine.wait_for_unit("vispyr-store.service")
    machine.wait_until_succeeds("curl -sf http://127.0.0.1:12345/-/ready", timeout=30)
  '';
}
