//! The store as a destination.
