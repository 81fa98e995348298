//! Walking encoded payloads without decoding them.

pub mod pprof_proto;
pub mod prompb;
pub mod pushpb;
