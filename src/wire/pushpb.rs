//! The messages of Pyroscope's `push.v1.PusherService/Push`, as prost structs. Written by hand
//! after `grafana/pyroscope/api/{push,types}/v1/*.proto`.

/// What a client pushes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PushRequest {
    /// Profiles with their labels.
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<RawProfileSeries>,
}

/// Profiles of one set of labels.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RawProfileSeries {
    /// Labels, `__name__` and `service_name` among them.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<LabelPair>,
    /// Profiles.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<RawSample>,
}

/// A label (`types.v1.LabelPair`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct LabelPair {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// One profile.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RawSample {
    /// pprof, gzipped or not.
    #[prost(bytes = "bytes", tag = "1")]
    pub raw_profile: bytes::Bytes,
    /// UUID of the profile; field `ID` in the original.
    #[prost(string, tag = "2")]
    pub id: String,
}

/// The empty answer.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct PushResponse {}
