//! From the logs to the destinations. Each destination reads at its own pace with a cursor of
//! its own, so that a dead one holds back nobody else.

pub mod dead_letters;
pub mod store;
