//! store

pub mod ingest;
pub mod schema;
pub mod views;
