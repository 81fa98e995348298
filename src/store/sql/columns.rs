//! The columns of an answer: their SQL types as text, and which of them must be turned into
//! something that leaves DuckDB whole.
//!
//! The `duckdb` crate cannot hand over a `VARIANT`, and Arrow has no `HUGEINT` over 38 digits, no
//! `BIT`, no time with a zone. Such columns are made into something else by a query around the user's:
//! `SELECT c0, variant_to_parquet_variant(c1) AS c1 FROM (<statement>) AS _(c0, c1)`.

use std::fmt::Write;

use duckdb::core::{LogicalTypeHandle, LogicalTypeId};

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Column {
    /// Its name, as the statement gives it.
    pub name: String,
    /// Its SQL type, such as `TIMESTAMP_NS`, `INTEGER[]`, `VARIANT`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The text in it is JSON.
    #[serde(skip)]
    pub json: bool,
    /// How it leaves DuckDB.
    #[serde(skip)]
    pub form: Form,
}

/// How a column leaves DuckDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// Cast to text.
    Text,
    /// Cast to JSON.
    Json,
    /// In the Parquet encoding of a `VARIANT`.
    Variant,
    /// The same, cast to `VARIANT` first: lists and structs that hold some.
    Nested,
}

impl Form {
    /// Whether it arrives in the Parquet encoding of a `VARIANT`.
    pub fn is_variant(self) -> bool {
        matches!(self, Form::Variant | Form::Nested)
    }
}

impl Column {
    /// The column that DuckDB announces with this type; its name comes later.
    pub fn new(kind: &LogicalTypeHandle) -> Self {
        let alias_json = kind.id() == LogicalTypeId::Varchar && kind.get_alias().as_deref() == Some("JSON");
        let form = form_of(kind);
        Column { name: String::new(), type_name: type_name(kind), json: alias_json || form == Form::Json, form }
    }

    /// The column that `DESCRIBE` gives, with its type as text.
    pub fn described(name: String, type_name: String) -> Self {
        let nested = type_name.ends_with(']') || ["STRUCT(", "MAP(", "UNION("].iter().any(|p| type_name.starts_with(p));
        let words = || type_name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        // A field of such a name is cast without need, which does no harm.
        let odd = words().any(|word| MUST_CAST.contains(&word)) || type_name.contains("TIME WITH");
        let form = match type_name.as_str() {
            "TIMESTAMP WITH TIME ZONE" => Form::Plain,
            "VARIANT" => Form::Variant,
            _ if nested && odd => Form::Json,
            _ if nested && words().any(|word| word == "VARIANT") => {
                if words().any(|word| word == "MAP") {
                    Form::Json
                } else {
                    Form::Nested
                }
            }
            _ if odd => Form::Text,
            _ => Form::Plain,
        };
        Column { name, json: type_name == "JSON" || form == Form::Json, type_name, form }
    }

    /// The column that is only known by what came of it.
    pub fn of_arrow(field: &arrow::datatypes::Field) -> Self {
        let type_name = field.data_type().to_string().to_uppercase();
        Column { name: field.name().clone(), type_name, json: false, form: Form::Plain }
    }
}

/// The type of a column whose type is not known yet.
pub const UNKNOWN: &str = "INVALID";

/// Types that do not leave DuckDB whole, as `DESCRIBE` writes them.
const MUST_CAST: &[&str] = &["UNION", "ENUM", "UHUGEINT", "INTERVAL", "BIT", "UUID", "BIGNUM", "TIME_NS", "GEOMETRY"];

/// The query around `statement` that casts the columns that need it; `None` if none does.
pub fn wrap(statement: &str, columns: &[Column]) -> Option<String> {
    if columns.iter().all(|c| c.form == Form::Plain) {
        return None;
    }
    let mut select = String::from("SELECT ");
    let mut names = String::new();
    for (i, column) in columns.iter().enumerate() {
        let separator = if i > 0 { ", " } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(names, "{separator}c{i}");
        let _ = match column.form {
            Form::Plain => write!(select, "{separator}c{i}"),
            Form::Text => write!(select, "{separator}CAST(c{i} AS VARCHAR) AS c{i}"),
            Form::Json => write!(select, "{separator}CAST(c{i} AS JSON) AS c{i}"),
            Form::Variant => write!(select, "{separator}variant_to_parquet_variant(c{i}) AS c{i}"),
            Form::Nested => write!(select, "{separator}variant_to_parquet_variant(CAST(c{i} AS VARIANT)) AS c{i}"),
        };
    }
    Some(format!("{select} FROM (\n{statement}\n) AS _({names})"))
}

fn form_of(kind: &LogicalTypeHandle) -> Form {
    match kind.id() {
        LogicalTypeId::Variant => Form::Variant,
        LogicalTypeId::Union => Form::Json,
        _ if leaves_whole(kind) => Form::Plain,
        LogicalTypeId::List | LogicalTypeId::Struct if is_of_variants(kind) => Form::Nested,
        LogicalTypeId::List | LogicalTypeId::Struct | LogicalTypeId::Map | LogicalTypeId::Array => Form::Json,
        _ => Form::Text,
    }
}

/// Whether it would leave DuckDB whole but for the `VARIANT` in it. A MAP would become a list of pairs.
fn is_of_variants(kind: &LogicalTypeHandle) -> bool {
    match kind.id() {
        LogicalTypeId::Variant => true,
        LogicalTypeId::List | LogicalTypeId::Struct => (0..kind.num_children()).all(|i| is_of_variants(&kind.child(i))),
        LogicalTypeId::Map | LogicalTypeId::Hugeint => false,
        _ => leaves_whole(kind),
    }
}

fn leaves_whole(kind: &LogicalTypeHandle) -> bool {
    use LogicalTypeId as T;
    match kind.id() {
        T::Boolean
        | T::Tinyint
        | T::Smallint
        | T::Integer
        | T::Bigint
        | T::Hugeint
        | T::UTinyint
        | T::USmallint
        | T::UInteger
        | T::UBigint
        | T::Float
        | T::Double
        | T::Decimal
        | T::Varchar
        | T::Blob
        | T::Date
        | T::Time
        | T::Timestamp
        | T::TimestampS
        | T::TimestampMs
        | T::TimestampNs
        | T::TimestampTZ
        | T::SqlNull => true,
        T::List | T::Map | T::Struct => (0..kind.num_children()).all(|i| leaves_whole(&kind.child(i))),
        _ => false,
    }
}

/// The type as SQL writes it.
fn type_name(kind: &LogicalTypeHandle) -> String {
    use LogicalTypeId as T;
    if let Some(alias) = kind.get_alias() {
        return alias;
    }
    let children = || {
        let fields =
            (0..kind.num_children()).map(|i| format!("{} {}", quoted(&kind.child_name(i)), type_name(&kind.child(i))));
        fields.collect::<Vec<_>>().join(", ")
    };
    let name = match kind.id() {
        T::List => return format!("{}[]", type_name(&kind.child(0))),
        T::Struct => return format!("STRUCT({})", children()),
        T::Union => return format!("UNION({})", children()),
        T::Map => {
            // A MAP is a list of entries; depending on the library the children are those of the entry.
            return if kind.num_children() == 2 {
                format!("MAP({}, {})", type_name(&kind.child(0)), type_name(&kind.child(1)))
            } else {
                "MAP".to_owned()
            };
        }
        T::Decimal => return format!("DECIMAL({},{})", kind.decimal_width(), kind.decimal_scale()),
        T::Boolean => "BOOLEAN",
        T::Tinyint => "TINYINT",
        T::Smallint => "SMALLINT",
        T::Integer => "INTEGER",
        T::Bigint => "BIGINT",
        T::UTinyint => "UTINYINT",
        T::USmallint => "USMALLINT",
        T::UInteger => "UINTEGER",
        T::UBigint => "UBIGINT",
        T::Float => "FLOAT",
        T::Double => "DOUBLE",
        T::Timestamp => "TIMESTAMP",
        T::TimestampS => "TIMESTAMP_S",
        T::TimestampMs => "TIMESTAMP_MS",
        T::TimestampNs => "TIMESTAMP_NS",
        T::TimestampTZ => "TIMESTAMP WITH TIME ZONE",
        T::Date => "DATE",
        T::Time => "TIME",
        T::TimeTZ => "TIME WITH TIME ZONE",
        T::Interval => "INTERVAL",
        T::Hugeint => "HUGEINT",
        T::UHugeint => "UHUGEINT",
        T::Varchar => "VARCHAR",
        T::Blob => "BLOB",
        T::Uuid => "UUID",
        T::Variant => "VARIANT",
        T::Enum => "ENUM",
        T::SqlNull => "NULL",
        other => return format!("{other:?}").to_uppercase(),
    };
    name.to_owned()
}

fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
    if plain && !name.is_empty() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
