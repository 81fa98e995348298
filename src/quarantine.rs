//! What could not go where it was to go is kept for people to look at.
//!
//! | module | what |
//! |---|---|
//! | [`folder`] | files that are kept, written once and for good, and their bound |
//! | [`dead_letters`] | what a destination will never take, the store among them |
//!
//! The log keeps its damaged records in such a folder, too.

pub mod dead_letters;
pub mod folder;
