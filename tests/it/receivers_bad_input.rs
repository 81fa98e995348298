//! receivers_bad_input
