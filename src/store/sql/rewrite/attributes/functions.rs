//! What functions do with a `VARIANT` that is given to them as it is.

/// Functions over numbers. DuckDB casts a `VARIANT` to their first form, most often of integers, which
/// rounds 7.5 to 8 and stops at the first text.
const NUMERIC: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "^",
    "**",
    "@",
    "abs",
    "acos",
    "add",
    "approx_quantile",
    "asin",
    "atan",
    "atan2",
    "avg",
    "cbrt",
    "ceil",
    "ceiling",
    "corr",
    "cos",
    "cot",
    "covar_pop",
    "covar_samp",
    "degrees",
    "divide",
    "even",
    "exp",
    "favg",
    "fdiv",
    "floor",
    "fmod",
    "fsum",
    "gamma",
    "geomean",
    "geometric_mean",
    "isfinite",
    "isinf",
    "isnan",
    "kahan_sum",
    "kurtosis",
    "kurtosis_pop",
    "lgamma",
    "ln",
    "log",
    "log10",
    "log2",
    "mad",
    "mean",
    "median",
    "mod",
    "multiply",
    "pow",
    "power",
    "product",
    "quantile",
    "quantile_cont",
    "quantile_disc",
    "radians",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "reservoir_quantile",
    "round",
    "sem",
    "sign",
    "sin",
    "skewness",
    "sqrt",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "subtract",
    "sum",
    "sum_no_overflow",
    "sumkahan",
    "tan",
    "trunc",
    "var_pop",
    "var_samp",
    "variance",
    "wavg",
    "weighted_avg",
];

/// Functions over text whose first form takes something else, which DuckDB would cast a `VARIANT` to.
const TEXT: &[&str] = &["bit_length", "hex", "md5", "repeat", "sha1", "sha256", "to_hex"];

/// Names of the length of a text or of a list.
const LENGTH: &[&str] = &["char_length", "character_length", "len", "length"];

/// Functions that compare or compute inside of lists, or among their arguments: there is no place to
/// say how.
const COMPARING: &[&str] = &[
    "array_aggr",
    "array_aggregate",
    "array_contains",
    "array_distinct",
    "array_grade_up",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_indexof",
    "array_intersect",
    "array_position",
    "array_reverse_sort",
    "array_sort",
    "array_unique",
    "greatest",
    "least",
    "list_aggr",
    "list_aggregate",
    "list_avg",
    "list_contains",
    "list_distinct",
    "list_grade_up",
    "list_has",
    "list_has_all",
    "list_has_any",
    "list_histogram",
    "list_indexof",
    "list_intersect",
    "list_kurtosis",
    "list_mad",
    "list_max",
    "list_median",
    "list_min",
    "list_mode",
    "list_position",
    "list_product",
    "list_reverse_sort",
    "list_sem",
    "list_skewness",
    "list_sort",
    "list_stddev_pop",
    "list_stddev_samp",
    "list_sum",
    "list_unique",
    "list_var_pop",
    "list_var_samp",
];

/// Other functions whose result is no `VARIANT` and holds none. One that is missing here costs no more
/// than a comparison of its result that is written in a longer way.
const PLAIN: &[&str] = &[
    "!~~",
    "!~~*",
    "||",
    "~~",
    "~~*",
    "~~~",
    "approx_count_distinct",
    "array_length",
    "bool_and",
    "bool_or",
    "char_length",
    "concat",
    "concat_ws",
    "contains",
    "count",
    "count_if",
    "count_star",
    "countif",
    "date_diff",
    "date_part",
    "date_trunc",
    "datediff",
    "datetrunc",
    "dense_rank",
    "ends_with",
    "entropy",
    "epoch",
    "epoch_ms",
    "epoch_ns",
    "epoch_us",
    "format",
    "format_bytes",
    "hash",
    "hex",
    "instr",
    "json_array_length",
    "json_extract_string",
    "json_valid",
    "lcase",
    "left",
    "len",
    "length",
    "like_escape",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "not_like_escape",
    "ntile",
    "percent_rank",
    "position",
    "prefix",
    "printf",
    "rank",
    "regexp_extract",
    "regexp_full_match",
    "regexp_matches",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "row_number",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strftime",
    "string_agg",
    "strlen",
    "strpos",
    "substr",
    "substring",
    "suffix",
    "time_bucket",
    "trim",
    "typeof",
    "ucase",
    "unhex",
    "upper",
    "variant_type",
    "variant_typeof",
    "->>",
];

/// Functions that take JSON, or text that they read as such, first.
const JSON: &[&str] = &[
    "->>",
    "json_array_length",
    "json_exists",
    "json_extract",
    "json_extract_path",
    "json_extract_path_text",
    "json_extract_string",
    "json_keys",
    "json_type",
    "json_value",
];

/// Whether its first argument is JSON.
pub fn takes_json(name: &str) -> bool {
    JSON.contains(&name)
}

/// Whether its second argument is a path in the first, and it has no others.
pub fn takes_path(name: &str) -> bool {
    matches!(name, "->>" | "json_extract" | "json_extract_string")
}

/// Whether its first argument is text.
pub fn takes_text(name: &str) -> bool {
    TEXT.contains(&name)
}

/// Whether it is the length of a text or of a list.
pub fn is_length(name: &str) -> bool {
    LENGTH.contains(&name)
}

/// Whether its arguments are numbers.
pub fn is_numeric(name: &str) -> bool {
    NUMERIC.contains(&name)
}

/// Whether it compares what it is given in a way that cannot be told from outside.
pub fn is_comparing(name: &str) -> bool {
    COMPARING.contains(&name)
}

/// Whether its result is no `VARIANT` whatever it is given.
pub fn is_plain(name: &str) -> bool {
    PLAIN.contains(&name) || is_numeric(name)
}
