//! store_crash
