//! wal_crash
