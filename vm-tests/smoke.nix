# One machine with everything at its default comes up, and stays up.
{ self }:
{
  name = "smoke";

  nodes.machine = {
    imports = [ self.nixosModules.default ];
    services.vispyr.enable = true;
  };

  testScript = ''
    for unit in ["vispyr-collector", "vispyr-store", "prometheus", "tempo", "pyroscope"]:
        machine.wait_for_unit(f"{unit}.service")
    machine.wait_until_succeeds("curl -sf http://127.0.0.1:12345/-/ready", timeout=30)
    machine.wait_until_succeeds("curl -sf http://127.0.0.1:9091/-/ready", timeout=30)
    machine.wait_until_succeeds("curl -sf http://127.0.0.1:3200/ready", timeout=30)
    machine.wait_until_succeeds("curl -sf http://127.0.0.1:4040/ready", timeout=30)
    machine.succeed("vispyr sql 'SELECT 1'")
  '';
}
