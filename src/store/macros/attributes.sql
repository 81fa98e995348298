-- How attributes compare: written into statements by sql/rewrite/attributes.rs, which says why.
-- A value is read as what it is first: TRY_CAST of a VARIANT to DOUBLE does not use the columns of
-- Parquet files, and takes six times as long for integers and ten times for text that is no number. What
-- text spells a number is left to that cast, which is stricter than the one of a VARCHAR.
CREATE MACRO stored.attribute_number(x) AS
CASE
    WHEN variant_typeof(x::VARIANT) = 'INT64' THEN TRY_CAST(x::VARIANT AS BIGINT)::DOUBLE
    WHEN variant_typeof(x::VARIANT) = 'VARCHAR' AND TRY_CAST(TRY_CAST(x::VARIANT AS VARCHAR) AS DOUBLE) IS NULL
        THEN NULL
    ELSE TRY_CAST(x::VARIANT AS DOUBLE)
END;

-- Of an array its elements, of anything else the characters of its text. DuckDB takes a VARIANT for
-- bits: the length of every number was 64.
CREATE MACRO stored.attribute_length(x) AS
CASE
    WHEN starts_with(variant_typeof(x::VARIANT), 'ARRAY') THEN variant_array_length(x::VARIANT)::BIGINT
    ELSE length(CAST(x::VARIANT AS VARCHAR))
END;

CREATE MACRO stored.attribute_text(x) AS CAST(x::VARIANT AS VARCHAR);

-- For functions over JSON: text that is none counts as NULL, and does not stop the statement.
CREATE MACRO stored.json_or_null(x) AS CASE WHEN json_valid(x::VARCHAR) THEN x::VARCHAR::JSON END;

CREATE MACRO stored.attribute_json(x) AS CAST(x::VARIANT AS JSON);

CREATE MACRO stored.attribute_member(x, key) AS CAST(variant_extract(x::VARIANT, key) AS JSON);

CREATE MACRO stored.attribute_time(x) AS TRY_CAST(x::VARIANT AS TIMESTAMP_NS);

-- Numbers by their value, whatever type they have; integers that no double holds exactly by all of
-- their digits. Then text, then what has structure.
CREATE MACRO stored.attribute_key(x) AS
CASE
    WHEN stored.attribute_number(x) IS NULL THEN variant_comparator(x::VARIANT)
    WHEN abs(stored.attribute_number(x)) < 9007199254740992
        THEN variant_comparator(stored.attribute_number(x)::VARIANT)
    ELSE variant_comparator(stored.attribute_number(x)::VARIANT)
        || coalesce(variant_comparator(TRY_CAST(x::VARIANT AS HUGEINT)::VARIANT), ''::BLOB)
END;

-- For equality: a text is a number only if that number is written so. '1.0', '5e2' and '1.10' are names
-- and versions at least as often as numbers, and equal no other text. A truth value is no number.
CREATE MACRO stored.attribute_identity(x) AS
CASE
    WHEN variant_typeof(x::VARIANT) IN ('BOOL_TRUE', 'BOOL_FALSE') OR stored.attribute_number(x) IS NULL
        THEN variant_comparator(x::VARIANT)
    WHEN variant_typeof(x::VARIANT) <> 'VARCHAR'
        OR TRY_CAST(x::VARIANT AS HUGEINT)::VARCHAR = CAST(x::VARIANT AS VARCHAR)
        OR (stored.attribute_number(x)::VARCHAR = CAST(x::VARIANT AS VARCHAR)
            AND stored.attribute_number(x) % 1 <> 0)
        THEN stored.attribute_key(x)
    ELSE variant_comparator(x::VARIANT)
END;

CREATE MACRO stored.attribute_key_of_variant(x VARIANT) AS stored.attribute_key(x), (x) AS x;

CREATE MACRO stored.attribute_number_of_variant(x VARIANT) AS stored.attribute_number(x), (x) AS x;

-- In the place of repeat (sql/rewrite/bounds.rs). What a vector of 2048 rows makes stays below 200 MB. The
-- arguments are in a list so that each stands here once: nested calls would double the expression.
CREATE MACRO stored.bounded_repeat(x, n) AS list_transform([{'x': x, 'n': n}], lambda p: repeat(p.x,
    CASE WHEN strlen(p.x::VARCHAR)::HUGEINT * p.n::BIGINT > 100000
        THEN error('repeat makes at most 100,000 bytes, not ' || strlen(p.x::VARCHAR)::HUGEINT * p.n::BIGINT)
        ELSE p.n::BIGINT END))[1];

-- In the place of replace and regexp_replace (sql/rewrite/bounds.rs), where the text may get longer. Nothing
-- is computed twice unless the text and what is put into it are long.
CREATE MACRO stored.bounded_replace(x, f, t) AS
list_transform([{'x': x::VARCHAR, 'f': f::VARCHAR, 't': t::VARCHAR}], lambda p:
    CASE WHEN strlen(p.t) > strlen(p.f) AND strlen(p.x)::HUGEINT * strlen(p.t) > 100000
            AND strlen(p.x) + (strlen(p.x) - strlen(replace(p.x, p.f, ''))) // greatest(strlen(p.f), 1)
                * (strlen(p.t) - strlen(p.f))::HUGEINT > greatest(100000, strlen(p.x))
        THEN error('replace makes a text longer up to 100,000 bytes, and no further')
        ELSE replace(p.x, p.f, p.t) END)[1];

-- With x instead of each match a byte is left of it, with nothing none: the difference counts the matches.
-- In the new text each group, such as \1, stands for no more than all that has matched.
CREATE MACRO stored.without_groups(t) AS regexp_replace(replace(t, '\\', 'x'), '\\[0-9]', '', 'g');

CREATE MACRO stored.regexp_replace_length(x, p, t, o) AS
strlen(regexp_replace(x, p, '', o))
    + (strlen(regexp_replace(x, p, 'x', o)) - strlen(regexp_replace(x, p, '', o)))::HUGEINT
        * strlen(stored.without_groups(t))
    + (strlen(replace(t, '\\', 'x')) - strlen(stored.without_groups(t))) // 2
        * (strlen(x) - strlen(regexp_replace(x, p, '', o)))::HUGEINT;

CREATE MACRO stored.bounded_regexp_replace(x, t, pattern, options) AS
list_transform([{'x': x::VARCHAR, 't': t::VARCHAR}], lambda p:
    CASE WHEN (strlen(p.x) + 1)::HUGEINT * (2 * strlen(p.t) + 1) > 100000
            AND stored.regexp_replace_length(p.x, pattern, p.t, options) > greatest(100000, strlen(p.x))
        THEN error('regexp_replace makes a text longer up to 100,000 bytes, and no further')
        ELSE regexp_replace(p.x, pattern, p.t, options) END)[1];

CREATE MACRO stored.bounded_regexp_replace_by(x, t, pattern, options) AS
list_transform([{'x': x::VARCHAR, 't': t::VARCHAR, 'r': pattern::VARCHAR}], lambda p:
    CASE WHEN (strlen(p.x) + 1)::HUGEINT * (2 * strlen(p.t) + 1) > 100000
            AND stored.regexp_replace_length(p.x, p.r, p.t, options) > greatest(100000, strlen(p.x))
        THEN error('regexp_replace makes a text longer up to 100,000 bytes, and no further')
        ELSE regexp_replace(p.x, p.r, p.t, options) END)[1];

-- A parameter that stands beside a time (sql/rewrite/times.rs). The cast to TIMESTAMP skips an offset, the
-- one to TIMESTAMPTZ has no nanoseconds.
CREATE MACRO stored.time_of_parameter(x) AS
CASE
    WHEN regexp_matches(x::VARCHAR, ':.*[+-][0-9]{2}(:?[0-9]{2})?$') THEN x::VARCHAR::TIMESTAMPTZ::TIMESTAMP::TIMESTAMP_NS
    ELSE x::VARCHAR::TIMESTAMP_NS
END;
