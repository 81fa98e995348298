//! What could not go where it was to go is kept for people to look at.
//!
//! | module | what |
//! |---|---|
//! | [`dead_letters`] | what a destination will never take |

pub mod dead_letters;
