# The ports of the two daemons: the section of the settings that moves each, the socket unit that
# holds it while the daemon is started again, and who opens it.
{
  otlp_grpc = {
    section = [
      "receivers"
      "otlp_grpc"
    ];
    socket = "vispyr-otlp-grpc";
    listen = "127.0.0.1:4317";
    receiver = true;
  };
  otlp_http = {
    section = [
      "receivers"
      "otlp_http"
    ];
    socket = "vispyr-otlp-http";
    listen = "127.0.0.1:4318";
    receiver = true;
  };
  remote_write = {
    section = [
      "receivers"
      "remote_write"
    ];
    socket = "vispyr-remote-write";
    listen = "127.0.0.1:9090";
    receiver = true;
  };
  pyroscope = {
    section = [
      "receivers"
      "pyroscope"
    ];
    socket = "vispyr-pyroscope";
    listen = "127.0.0.1:9999";
    receiver = true;
  };
  web = {
    section = [ "web" ];
    socket = "vispyr-web";
    listen = "127.0.0.1:12345";
    receiver = false;
  };
  sql = {
    section = [ "sql" ];
    socket = "vispyr-sql";
    listen = "127.0.0.1:12346";
    receiver = false;
  };
  postgres = {
    section = [ "postgres" ];
    socket = "vispyr-postgres";
    listen = "127.0.0.1:5433";
    receiver = false;
  };
}
