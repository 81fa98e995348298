//! Passes over the tree of a statement that has been let through, before the text is made from it that
//! runs.

pub mod attributes;
pub mod node;
