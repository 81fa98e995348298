//! Compressing and decompressing payloads: every encoding in one place, within limits that the
//! caller gives. All of it takes its time and is called off the async threads, but for what is small.
//!
//! | module | what |
//! |---|---|
//! | [`decoder`] | bit by bit |
//! | [`inflate`] | whole, within a limit and a budget |
//! | [`compress`] | the other way, and from one encoding to another |

pub mod compress;
pub mod decoder;
pub mod inflate;
