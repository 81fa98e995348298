use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
    StringArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
};
use arrow::datatypes::{DataType, Int32Type as Items};

use super::binary::numeric;
use super::text::quoted;
use super::*;

fn value(array: &ArrayRef, kind: &Type, format: i16) -> Vec<u8> {
    let mut out = BytesMut::new();
    writer(array.as_ref(), kind, format).write(0, &mut out);
    out.to_vec()
}

fn texts(array: impl Array + 'static, kind: &Type) -> String {
    String::from_utf8(value(&(Arc::new(array) as ArrayRef), kind, 0)).unwrap()
}

#[test]
fn text_is_postgresqls() {
    assert_eq!(texts(BooleanArray::from(vec![true]), &Type::BOOL), "t");
    assert_eq!(texts(UInt8Array::from(vec![255]), &Type::INT2), "255");
    assert_eq!(texts(Float64Array::from(vec![f64::NEG_INFINITY]), &Type::FLOAT8), "-Infinity");
    assert_eq!(texts(Float64Array::from(vec![0.1]), &Type::FLOAT8), "0.1");
    assert_eq!(texts(BinaryArray::from(vec![&[0u8, 0xab][..]]), &Type::BYTEA), "\\x00ab");
    assert_eq!(texts(StringArray::from(vec!["13 months"]), &Type::INTERVAL), "1 year 1 mon");
    assert_eq!(texts(StringArray::from(vec!["{\"a\": 1}"]), &Type::JSONB), "{\"a\": 1}");
    let decimal = Decimal128Array::from(vec![-5]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(texts(decimal, &Type::NUMERIC), "-0.05");
    for (nanos, text) in [
        (0, "1970-01-01 00:00:00+00"),
        (1_709_210_096_123_456_789, "2024-02-29 12:34:56.123456+00"),
        (1_709_210_096_500_000_000, "2024-02-29 12:34:56.5+00"),
        (-1, "1969-12-31 23:59:59.999999+00"),
        (i64::MAX, "infinity"),
        (-i64::MAX, "-infinity"),
    ] {
        assert_eq!(texts(TimestampNanosecondArray::from(vec![nanos]), &Type::TIMESTAMPTZ), text);
    }
    // The year 0 of ISO 8601 is 1 BC.
    assert_eq!(
        texts(TimestampSecondArray::from(vec![-62_167_219_200]), &Type::TIMESTAMPTZ),
        "0001-01-01 00:00:00+00 BC"
    );
    assert_eq!(texts(Date32Array::from(vec![20_000]), &Type::DATE), "2024-10-04");
    assert_eq!(texts(Date32Array::from(vec![-719_163]), &Type::DATE), "0001-12-31 BC");
}

#[test]
fn arrays_are_quoted_where_they_need_it() {
    let array = ListArray::from_iter_primitive::<Items, _, _>([Some(vec![Some(1), None, Some(3)])]);
    assert_eq!(texts(array.clone(), &Type::INT4_ARRAY), "{1,NULL,3}");
    let bytes = value(&(Arc::new(array) as ArrayRef), &Type::INT4_ARRAY, BINARY);
    let expected: [i32; 9] = [1, 1, 23, 3, 1, 4, 1, -1, 4];
    let mut expected: Vec<u8> = expected.iter().flat_map(|n| n.to_be_bytes()).collect();
    expected.extend(3_i32.to_be_bytes());
    assert_eq!(bytes, expected);
    let empty = ListArray::from_iter_primitive::<Items, _, _>([Some(vec![])]);
    assert_eq!(texts(empty.clone(), &Type::INT4_ARRAY), "{}");
    assert_eq!(value(&(Arc::new(empty) as ArrayRef), &Type::INT4_ARRAY, BINARY), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23]);
    for (item, text) in [("a", "a"), ("", "\"\""), ("a b", "\"a b\""), ("NULL", "\"NULL\""), ("a\"\\", r#""a\"\\""#)] {
        let mut out = BytesMut::new();
        quoted(item.as_bytes(), &mut out);
        assert_eq!(out, text.as_bytes());
    }
}

#[test]
fn binary_is_postgresqls() {
    let of = |array: ArrayRef, kind: &Type| value(&array, kind, BINARY);
    let time = Arc::new(TimestampNanosecondArray::from(vec![946_684_800_000_001_999]));
    assert_eq!(of(time, &Type::TIMESTAMPTZ), 1_i64.to_be_bytes());
    assert_eq!(
        of(Arc::new(TimestampNanosecondArray::from(vec![-i64::MAX])), &Type::TIMESTAMPTZ),
        i64::MIN.to_be_bytes()
    );
    assert_eq!(of(Arc::new(Date32Array::from(vec![10_958])), &Type::DATE), 1_i32.to_be_bytes());
    assert_eq!(of(Arc::new(UInt8Array::from(vec![255])), &Type::INT2), [0, 255]);
    assert_eq!(of(Arc::new(Int64Array::from(vec![-1])), &Type::INT8), [255; 8]);
    assert_eq!(of(Arc::new(StringArray::from(vec!["{}"])), &Type::JSONB), b"\x01{}");
    let uuid = "12345678-1234-1234-1234-123456789abc";
    assert_eq!(of(Arc::new(StringArray::from(vec![uuid])), &Type::UUID)[..4], [0x12, 0x34, 0x56, 0x78]);
    let interval = of(Arc::new(StringArray::from(vec!["1 month 2 days 00:00:00.000003"])), &Type::INTERVAL);
    assert_eq!(interval, [&3_i64.to_be_bytes()[..], &2_i32.to_be_bytes(), &1_i32.to_be_bytes()].concat());
}

/// Checked against PostgreSQL's own numbers: groups, weight, sign, scale, digits.
#[test]
fn numerics_in_groups_of_ten_thousand() {
    for (text, parts) in [
        ("0", &[0, 0, 0, 0][..]),
        ("0.00", &[0, 0, 0, 2]),
        ("1", &[1, 0, 0, 0, 1]),
        ("-12345", &[2, 1, 0x4000, 0, 1, 2345]),
        ("10000", &[1, 1, 0, 0, 1]),
        ("18446744073709551615", &[5, 4, 0, 0, 1844, 6744, 737, 955, 1615]),
        ("1.5", &[2, 0, 0, 1, 1, 5000]),
        ("0.0001", &[1, 0xffff, 0, 4, 1]),
        ("0.00012", &[2, 0xffff, 0, 5, 1, 2000]),
        ("-0.05", &[1, 0xffff, 0x4000, 2, 500]),
        ("NaN", &[0, 0, 0xC000, 0]),
    ] {
        let mut out = BytesMut::new();
        numeric(text, &mut out);
        let expected: Vec<u8> = parts.iter().flat_map(|part: &u16| part.to_be_bytes()).collect();
        assert_eq!(out.to_vec(), expected, "{text}");
    }
}

#[test]
fn a_row_is_a_message_with_its_length() {
    let fields = ["a", "b"].map(|name| arrow::datatypes::Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(arrow::datatypes::Schema::new(fields.to_vec()));
    let columns: [ArrayRef; 2] =
        [Arc::new(StringArray::from(vec!["xy"])), Arc::new(StringArray::from(vec![None::<&str>]))];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.to_vec()).unwrap();
    let columns: Vec<_> = schema.fields().iter().map(|field| types::Column::of_arrow(field)).collect();
    let mut out = BytesMut::new();
    assert_eq!(Rows::new(&batch, &columns, &[], b'D').put(0..1, 1, &mut out), 1);
    assert_eq!(&out[..], b"D\0\0\0\x10\0\x02\0\0\0\x02xy\xff\xff\xff\xff");
}

/// Rows of one length are put column by column: that gives the same bytes.
#[test]
fn rows_are_the_same_one_by_one_and_together() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(TimestampNanosecondArray::from(vec![0, 1_999, -1, i64::MAX, 5]))),
        ("b", Arc::new(Float64Array::from(vec![0.5, -0.0, f64::NAN, f64::INFINITY, 1e300]))),
        ("c", Arc::new(BooleanArray::from(vec![true, false, true, false, true]))),
        ("d", Arc::new(UInt8Array::from(vec![0, 1, 2, 254, 255]))),
        ("e", Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, 1, i64::MAX]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let columns: Vec<_> = batch.schema().fields().iter().map(|field| types::Column::of_arrow(field)).collect();
    let rows = Rows::new(&batch, &columns, &[BINARY], b'D');
    assert!(rows.template.is_some());
    let (mut together, mut one_by_one) = (BytesMut::new(), BytesMut::new());
    // Two rows are enough at first.
    assert_eq!(rows.put(0..5, rows.template.as_ref().unwrap().len() + 1, &mut together), 2);
    assert_eq!(rows.put(2..5, 10_000, &mut together), 3);
    (0..5).for_each(|row| rows.put_one(row, &mut one_by_one));
    assert_eq!(together, one_by_one);
    let with_null =
        RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef)]).unwrap();
    assert!(Rows::new(&with_null, &columns[4..], &[BINARY], b'D').template.is_none());
}
