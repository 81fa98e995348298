//! The live tail: what is acknowledged at this moment, item by item, for people and scripts that watch.
//!
//! It costs what it may cost, however much comes in. Receivers hand a reference-counted copy of each
//! acknowledged payload to the [`Tap`], and that only while somebody watches. One thread decodes the payloads
//! and compares their items with the filter of each tail, for a bounded share of a processor. Each tail keeps a
//! bounded number of lines for its reader. What does not fit anywhere is counted, and the reader is told.
//!
//! | module | what |
//! |---|---|
//! | [`filter`] | which items are wanted |
//! | `decode` | the items of a payload, of every format |
//! | [`item`] | an item, and its line of JSON |
//! | `lines` | what waits for a reader |
//! | [`tap`] | where payloads come in, and where tails are opened |
//! | `budget` | the share of a processor |

mod budget;
mod decode;
pub mod filter;
pub mod item;
mod lines;
pub mod tap;

pub use filter::{Filter, FilterError};
pub use lines::Event;
pub use tap::{Busy, Subscription, Tap, Wanted};
