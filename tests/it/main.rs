//! Integration tests: one binary, one module a subject. They run the real program.
#![allow(missing_docs, reason = "tests document themselves by name")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod access_clients;
mod access_rotation;
mod after_a_restart;
mod blocking;
mod cli;
mod confinement;
mod connections;
mod dead_letters;
mod delivery;
mod demo;
mod harness;
mod journal;
mod lag;
mod ledger;
mod lifecycle;
mod log_folder;
mod many_keys;
mod memory;
mod push_json;
mod receivers;
mod receivers_bad_input;
mod receivers_text;
mod refusals;
mod refused_methods;
mod reload;
mod rules;
mod sealing;
mod sql;
mod sql_differential;
mod sql_gates;
mod sql_times;
mod stopping;
mod store;
mod store_crash;
mod store_damage;
mod store_items;
mod store_letters;
mod store_rebuild;
mod wal_crash;
mod web_http2;
