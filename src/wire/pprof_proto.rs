//! The messages of pprof (`perftools.profiles`), as prost structs. Written by hand after
//! `google/pprof/proto/profile.proto`; fields that hold an `int64` index into the string table
//! say so.

/// A profile.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Profile {
    /// What each value of a sample is.
    #[prost(message, repeated, tag = "1")]
    pub sample_type: Vec<ValueType>,
    /// The samples.
    #[prost(message, repeated, tag = "2")]
    pub sample: Vec<Sample>,
    /// Binaries and libraries.
    #[prost(message, repeated, tag = "3")]
    pub mapping: Vec<Mapping>,
    /// Places in the code.
    #[prost(message, repeated, tag = "4")]
    pub location: Vec<Location>,
    /// Functions.
    #[prost(message, repeated, tag = "5")]
    pub function: Vec<Function>,
    /// The strings; the first is empty.
    #[prost(string, repeated, tag = "6")]
    pub string_table: Vec<String>,
    /// Frames to drop, a regular expression (string table).
    #[prost(int64, tag = "7")]
    pub drop_frames: i64,
    /// Frames to keep, a regular expression (string table).
    #[prost(int64, tag = "8")]
    pub keep_frames: i64,
    /// Start of the collection, nanoseconds since the Unix epoch.
    #[prost(int64, tag = "9")]
    pub time_nanos: i64,
    /// Duration in nanoseconds, 0 if it makes no sense.
    #[prost(int64, tag = "10")]
    pub duration_nanos: i64,
    /// What happens between two samples.
    #[prost(message, optional, tag = "11")]
    pub period_type: Option<ValueType>,
    /// How many of `period_type` between two samples.
    #[prost(int64, tag = "12")]
    pub period: i64,
    /// Comments (string table).
    #[prost(int64, repeated, tag = "13")]
    pub comment: Vec<i64>,
    /// Type name of the sample type to show first (string table).
    #[prost(int64, tag = "14")]
    pub default_sample_type: i64,
    /// Where the profile is documented (string table).
    #[prost(int64, tag = "15")]
    pub doc_url: i64,
}

/// Meaning and unit of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct ValueType {
    /// Type, such as `cpu` (string table).
    #[prost(int64, tag = "1")]
    pub r#type: i64,
    /// Unit, such as `nanoseconds` (string table).
    #[prost(int64, tag = "2")]
    pub unit: i64,
}

/// Values at a stack.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sample {
    /// The stack, leaf first: ids of locations.
    #[prost(uint64, repeated, tag = "1")]
    pub location_id: Vec<u64>,
    /// One value for each `sample_type`.
    #[prost(int64, repeated, tag = "2")]
    pub value: Vec<i64>,
    /// Labels.
    #[prost(message, repeated, tag = "3")]
    pub label: Vec<Label>,
}

/// A label of a sample: a string or a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Label {
    /// Key (string table).
    #[prost(int64, tag = "1")]
    pub key: i64,
    /// String value (string table), 0 if a number.
    #[prost(int64, tag = "2")]
    pub str: i64,
    /// Number value.
    #[prost(int64, tag = "3")]
    pub num: i64,
    /// Unit of the number (string table).
    #[prost(int64, tag = "4")]
    pub num_unit: i64,
}

/// A binary or library mapped into the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Mapping {
    /// Not 0.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// First address.
    #[prost(uint64, tag = "2")]
    pub memory_start: u64,
    /// Address after the last.
    #[prost(uint64, tag = "3")]
    pub memory_limit: u64,
    /// Offset in the file of the first address.
    #[prost(uint64, tag = "4")]
    pub file_offset: u64,
    /// File (string table).
    #[prost(int64, tag = "5")]
    pub filename: i64,
    /// Build id (string table).
    #[prost(int64, tag = "6")]
    pub build_id: i64,
    /// Functions are resolved.
    #[prost(bool, tag = "7")]
    pub has_functions: bool,
    /// File names are resolved.
    #[prost(bool, tag = "8")]
    pub has_filenames: bool,
    /// Line numbers are resolved.
    #[prost(bool, tag = "9")]
    pub has_line_numbers: bool,
    /// Inlined frames are resolved.
    #[prost(bool, tag = "10")]
    pub has_inline_frames: bool,
}

/// A place in the code.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Location {
    /// Not 0.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Id of the mapping, 0 if none.
    #[prost(uint64, tag = "2")]
    pub mapping_id: u64,
    /// Address of the instruction.
    #[prost(uint64, tag = "3")]
    pub address: u64,
    /// Lines; several when inlined: the last is the caller into which the others were inlined.
    #[prost(message, repeated, tag = "4")]
    pub line: Vec<Line>,
    /// Several symbols folded into one by the linker.
    #[prost(bool, tag = "5")]
    pub is_folded: bool,
}

/// A line of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Line {
    /// Id of the function.
    #[prost(uint64, tag = "1")]
    pub function_id: u64,
    /// Line number.
    #[prost(int64, tag = "2")]
    pub line: i64,
    /// Column number.
    #[prost(int64, tag = "3")]
    pub column: i64,
}

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Function {
    /// Not 0.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Name (string table).
    #[prost(int64, tag = "2")]
    pub name: i64,
    /// Name as the system knows it, such as mangled (string table).
    #[prost(int64, tag = "3")]
    pub system_name: i64,
    /// File (string table).
    #[prost(int64, tag = "4")]
    pub filename: i64,
    /// Line at which it starts.
    #[prost(int64, tag = "5")]
    pub start_line: i64,
}
