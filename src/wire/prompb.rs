//! The messages of Prometheus remote write, 1.0 and 2.0, as prost structs.
//!
//! Written by hand after `prometheus/prompb/{remote,types}.proto` and
//! `prometheus/prompb/io/prometheus/write/v2/types.proto`; no published crate carries both
//! versions. The start timestamp of 2.0 moved from the series (field 6, until 2.0-rc.3) to the
//! sample and the histogram (2.0-rc.4): both are here.

/// Remote write 1.0: `prometheus.WriteRequest` and what it holds.
pub mod v1 {
    pub use super::BucketSpan;

    /// One push of a 1.0 sender. Metadata may come without any series.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct WriteRequest {
        /// The series.
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<TimeSeries>,
        /// Type, help and unit of metric families.
        #[prost(message, repeated, tag = "3")]
        pub metadata: Vec<MetricMetadata>,
    }

    /// Type, help and unit of one metric family.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct MetricMetadata {
        /// 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info, 7 state set.
        #[prost(int32, tag = "1")]
        pub r#type: i32,
        /// Name of the family, without `_bucket` and the like.
        #[prost(string, tag = "2")]
        pub metric_family_name: String,
        /// Description.
        #[prost(string, tag = "4")]
        pub help: String,
        /// Unit.
        #[prost(string, tag = "5")]
        pub unit: String,
    }

    /// A series: labels, and what was measured.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TimeSeries {
        /// Labels, sorted by name, `__name__` among them.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// Float samples.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// Exemplars.
        #[prost(message, repeated, tag = "3")]
        pub exemplars: Vec<Exemplar>,
        /// Native histograms.
        #[prost(message, repeated, tag = "4")]
        pub histograms: Vec<Histogram>,
    }

    /// A label.
    #[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
    pub struct Label {
        /// Name.
        #[prost(string, tag = "1")]
        pub name: String,
        /// Value.
        #[prost(string, tag = "2")]
        pub value: String,
    }

    /// A float sample.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Sample {
        /// Value; the NaN with bits 0x7ff0000000000002 marks the series as stale.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// Milliseconds since the Unix epoch.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
    }

    /// An exemplar.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Exemplar {
        /// Labels, often `trace_id` and `span_id`.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// Value.
        #[prost(double, tag = "2")]
        pub value: f64,
        /// Milliseconds since the Unix epoch.
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }

    /// A native histogram.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Histogram {
        /// Number of observations.
        #[prost(oneof = "super::HistogramCount", tags = "1, 2")]
        pub count: Option<super::HistogramCount>,
        /// Sum of the observations; the stale NaN marks the series as stale.
        #[prost(double, tag = "3")]
        pub sum: f64,
        /// Resolution: -4 to 8 exponential, -53 custom bounds.
        #[prost(sint32, tag = "4")]
        pub schema: i32,
        /// Half-width of the zero bucket.
        #[prost(double, tag = "5")]
        pub zero_threshold: f64,
        /// Observations in the zero bucket.
        #[prost(oneof = "super::HistogramZeroCount", tags = "6, 7")]
        pub zero_count: Option<super::HistogramZeroCount>,
        /// Runs of consecutive negative buckets.
        #[prost(message, repeated, tag = "8")]
        pub negative_spans: Vec<BucketSpan>,
        /// Integer histograms: differences between consecutive negative buckets.
        #[prost(sint64, repeated, tag = "9")]
        pub negative_deltas: Vec<i64>,
        /// Float histograms: counts of the negative buckets.
        #[prost(double, repeated, tag = "10")]
        pub negative_counts: Vec<f64>,
        /// Runs of consecutive positive buckets.
        #[prost(message, repeated, tag = "11")]
        pub positive_spans: Vec<BucketSpan>,
        /// Integer histograms: differences between consecutive positive buckets.
        #[prost(sint64, repeated, tag = "12")]
        pub positive_deltas: Vec<i64>,
        /// Float histograms: counts of the positive buckets.
        #[prost(double, repeated, tag = "13")]
        pub positive_counts: Vec<f64>,
        /// 0 unknown, 1 yes, 2 no, 3 gauge.
        #[prost(int32, tag = "14")]
        pub reset_hint: i32,
        /// Milliseconds since the Unix epoch.
        #[prost(int64, tag = "15")]
        pub timestamp: i64,
        /// Upper bounds of the buckets of schema -53.
        #[prost(double, repeated, tag = "16")]
        pub custom_values: Vec<f64>,
    }
}

/// Remote write 2.0: `io.prometheus.write.v2.Request` and what it holds.
pub mod v2 {
    pub use super::BucketSpan;

    /// One push of a 2.0 sender.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Request {
        /// The strings that the references point to; the first is empty.
        #[prost(string, repeated, tag = "4")]
        pub symbols: Vec<String>,
        /// The series.
        #[prost(message, repeated, tag = "5")]
        pub timeseries: Vec<TimeSeries>,
    }

    /// A series: labels, and what was measured.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TimeSeries {
        /// Name, value, name, value, ... as indexes into the symbols.
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        /// Float samples; not together with histograms.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// Native histograms; not together with samples.
        #[prost(message, repeated, tag = "3")]
        pub histograms: Vec<Histogram>,
        /// Exemplars.
        #[prost(message, repeated, tag = "4")]
        pub exemplars: Vec<Exemplar>,
        /// Type, help and unit.
        #[prost(message, optional, tag = "5")]
        pub metadata: Option<Metadata>,
        /// Start of the counter in milliseconds since the Unix epoch, as senders before 2.0-rc.4 tell it; 0 if not known.
        #[prost(int64, tag = "6")]
        pub created_timestamp: i64,
    }

    /// An exemplar.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Exemplar {
        /// Name, value, ... as indexes into the symbols.
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        /// Value.
        #[prost(double, tag = "2")]
        pub value: f64,
        /// Milliseconds since the Unix epoch.
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }

    /// A float sample.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Sample {
        /// Value; the NaN with bits 0x7ff0000000000002 marks the series as stale.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// Milliseconds since the Unix epoch.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
        /// Start of the counter in milliseconds since the Unix epoch (2.0-rc.4 and later); 0 if not known.
        #[prost(int64, tag = "3")]
        pub start_timestamp: i64,
    }

    /// Type, help and unit of the series' metric.
    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub struct Metadata {
        /// 0 unspecified, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info, 7 state set.
        #[prost(int32, tag = "1")]
        pub r#type: i32,
        /// Description, an index into the symbols.
        #[prost(uint32, tag = "3")]
        pub help_ref: u32,
        /// Unit, an index into the symbols.
        #[prost(uint32, tag = "4")]
        pub unit_ref: u32,
    }

    /// A native histogram.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Histogram {
        /// Number of observations.
        #[prost(oneof = "super::HistogramCount", tags = "1, 2")]
        pub count: Option<super::HistogramCount>,
        /// Sum of the observations; the stale NaN marks the series as stale.
        #[prost(double, tag = "3")]
        pub sum: f64,
        /// Resolution: -4 to 8 exponential, -53 custom bounds.
        #[prost(sint32, tag = "4")]
        pub schema: i32,
        /// Half-width of the zero bucket.
        #[prost(double, tag = "5")]
        pub zero_threshold: f64,
        /// Observations in the zero bucket.
        #[prost(oneof = "super::HistogramZeroCount", tags = "6, 7")]
        pub zero_count: Option<super::HistogramZeroCount>,
        /// Runs of consecutive negative buckets.
        #[prost(message, repeated, tag = "8")]
        pub negative_spans: Vec<BucketSpan>,
        /// Integer histograms: differences between consecutive negative buckets.
        #[prost(sint64, repeated, tag = "9")]
        pub negative_deltas: Vec<i64>,
        /// Float histograms: counts of the negative buckets.
        #[prost(double, repeated, tag = "10")]
        pub negative_counts: Vec<f64>,
        /// Runs of consecutive positive buckets.
        #[prost(message, repeated, tag = "11")]
        pub positive_spans: Vec<BucketSpan>,
        /// Integer histograms: differences between consecutive positive buckets.
        #[prost(sint64, repeated, tag = "12")]
        pub positive_deltas: Vec<i64>,
        /// Float histograms: counts of the positive buckets.
        #[prost(double, repeated, tag = "13")]
        pub positive_counts: Vec<f64>,
        /// 0 unspecified, 1 yes, 2 no, 3 gauge.
        #[prost(int32, tag = "14")]
        pub reset_hint: i32,
        /// Milliseconds since the Unix epoch.
        #[prost(int64, tag = "15")]
        pub timestamp: i64,
        /// Upper bounds of the buckets of schema -53.
        #[prost(double, repeated, tag = "16")]
        pub custom_values: Vec<f64>,
        /// Start of the histogram in milliseconds since the Unix epoch (2.0-rc.4 and later); 0 if not known.
        #[prost(int64, tag = "17")]
        pub start_timestamp: i64,
    }
}

/// A run of consecutive buckets of a native histogram.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct BucketSpan {
    /// Gap to the run before; the first index for the first run.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// Number of buckets.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// Number of observations: integer histograms count in integers, float histograms in floats.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum HistogramCount {
    /// Integer histogram.
    #[prost(uint64, tag = "1")]
    CountInt(u64),
    /// Float histogram.
    #[prost(double, tag = "2")]
    CountFloat(f64),
}

/// Observations in the zero bucket.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum HistogramZeroCount {
    /// Integer histogram.
    #[prost(uint64, tag = "6")]
    ZeroCountInt(u64),
    /// Float histogram.
    #[prost(double, tag = "7")]
    ZeroCountFloat(f64),
}
