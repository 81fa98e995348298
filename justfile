# What CI runs, by name. `just --list` shows the recipes.

# Build Vispyr and run it with demo data
demo *args:
    scripts/demo {{args}}

# All tests
test *args:
    scripts/test {{args}}

# Formatting, clippy with warnings denied, dependency rules, Nix syntax
lint:
    scripts/lint

# Programs that we did not write send to a running server; SQL answers are compared
real *args:
    scripts/real {{args}}

# Real servers (Prometheus, Tempo, Pyroscope, OpenTelemetry Collector) are fed and asked
upstreams *args:
    scripts/upstreams {{args}}

# Benchmarks: wire, wal, receive, deliver, store, ask
bench *names:
    scripts/bench {{names}}

# Everything that CI does
ci:
    .ci/run
