# What CI runs, by name. `just --list` shows the recipes.

# Build Vispyr and run it with demo data
demo *args:
    scripts/demo {{args}}

# All tests
test *args:
    scripts/test {{args}}

# A million random cases of what a destination may do (20 minutes), or as many as are wanted
explore cases="1000000":
    PROPTEST_CASES={{cases}} scripts/test --lib whatever_the_destination_does

# A hundred million messages of PostgreSQL's protocol, changed at random (10 minutes), or as many as are wanted
fuzz-postgres runs="100000000":
    FUZZ_RUNS={{runs}} scripts/test --lib changed_messages

# Formatting, clippy with warnings denied, dependency rules, Nix syntax
lint:
    scripts/lint

# Programs that we did not write send to a running server; SQL answers are compared
real *args:
    scripts/real {{args}}

# Kills at random under load, readers at their memory limit: 20, or --kills 500; or `ready`, `pause`: figures
campaign *args:
    scripts/campaign {{args}}

# Real servers (Prometheus, Tempo, Pyroscope, OpenTelemetry Collector) are fed and asked
upstreams *args:
    scripts/upstreams {{args}}

# Each dashboard's queries and links, asked of real servers
dashboards *args:
    scripts/dashboards {{args}}

# Writes config/grafana/dashboards again, after a change of config/grafana/generator
generate-dashboards:
    python3 config/grafana/generator

# Starts the Grafana that is in PATH on our data sources and dashboards
grafana *args:
    scripts/grafana {{args}}

# Benchmarks: wire, wal, receive, deliver, store, ask, postgres
bench *names:
    scripts/bench {{names}}

# Builds and installs on this machine with systemd (again: an update, which keeps an edited config)
install *args:
    scripts/install {{args}}

# Takes that off again; the data stays
uninstall *args:
    scripts/uninstall {{args}}

# A Debian package with DuckDB inside (37 minutes on 2 cores)
deb *args:
    scripts/deb {{args}}

# Units, install script and Debian package on a booted Debian, in a container (root)
units *args:
    scripts/units {{args}}

# Everything that CI does
ci:
    .ci/run
