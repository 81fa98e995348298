//! The engine against a simulated destination.
