//! Vispyr Backend: receives the telemetry of applications, acknowledges what is safely on disk,
//! hands every signal to the databases made for it and answers SQL across all of them.
//!
//! | module | what |
//! |---|---|
//! | [`signal`] | what moves through the pipeline |
//! | [`wire`] | walking encoded payloads without decoding them |
//! | [`receivers`] | the ports: OTLP, remote write, Pyroscope; admission |
//! | [`net`] | TLS, authentication and connections of the ports; our own clients |
//! | [`blocking`] | threads for work that blocks |
//! | [`codec`] | compressing and decompressing |
//! | [`durable`] | replacing, syncing and locking files and folders |
//! | [`duration`] | lengths of time as the config takes them |
//! | [`wal`] | the write-ahead log, one a signal |
//! | [`quarantine`] | what could not go where it was to go: dead letters |
//! | [`exporters`] | from the log to the destinations |
//! | [`store`] | the DuckDB store and its SQL |
//! | [`tail`] | what is acknowledged at this moment, for those who watch |
//! | [`web`] | the page, metrics and health of the collector |
//! | `demo` | the make-believe shop, behind the feature of that name |
//! | [`config`] | TOML to checked settings |
//! | [`app`] | builds the parts, starts and stops them in order |
//! | [`telemetry`] | the ledger, logs |
//! | `allocator` | where the whole process, DuckDB's library too, has its memory from |
//! | [`cli`] | one file a subcommand |

mod allocator;
pub mod app;
pub mod blocking;
pub mod cli;
pub mod codec;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod durable;
pub mod duration;
pub mod exporters;
pub mod net;
pub mod quarantine;
pub mod receivers;
pub mod signal;
pub mod store;
pub mod tail;
pub mod telemetry;
pub mod wal;
pub mod web;
pub mod wire;
