-- How attributes compare: written into statements by sql/rewrite/attributes.rs, which says why.
-- An integer is cast as what it is first: TRY_CAST of an integer column to DOUBLE does not use the
-- columns of Parquet files and takes six times as long.
CREATE MACRO stored.attribute_number(x) AS
CASE
    WHEN variant_typeof(x::VARIANT) = 'INT64' THEN TRY_CAST(x::VARIANT AS BIGINT)::DOUBLE
    ELSE TRY_CAST(x::VARIANT AS DOUBLE)
END;

CREATE MACRO stored.attribute_text(x) AS CAST(x::VARIANT AS VARCHAR);

-- For functions over JSON: text that is none counts as NULL, and does not stop the statement.
CREATE MACRO stored.json_or_null(x) AS CASE WHEN json_valid(x::VARCHAR) THEN x::VARCHAR::JSON END;

CREATE MACRO stored.attribute_json(x) AS CAST(x::VARIANT AS JSON);

CREATE MACRO stored.attribute_time(x) AS TRY_CAST(x::VARIANT AS TIMESTAMP_NS);

-- Numbers by their value, whatever type they have; integers that no double holds exactly by all of
-- their digits. Then text, then what has structure.
CREATE MACRO stored.attribute_key(x) AS
CASE
    WHEN TRY_CAST(x::VARIANT AS DOUBLE) IS NULL THEN variant_comparator(x::VARIANT)
    WHEN abs(TRY_CAST(x::VARIANT AS DOUBLE)) < 9007199254740992
        THEN variant_comparator(TRY_CAST(x::VARIANT AS DOUBLE)::VARIANT)
    ELSE variant_comparator(TRY_CAST(x::VARIANT AS DOUBLE)::VARIANT)
        || coalesce(variant_comparator(TRY_CAST(x::VARIANT AS HUGEINT)::VARIANT), ''::BLOB)
END;

CREATE MACRO stored.attribute_key_of_variant(x VARIANT) AS stored.attribute_key(x), (x) AS x;

CREATE MACRO stored.attribute_number_of_variant(x VARIANT) AS stored.attribute_number(x), (x) AS x;
