//! Statements in PostgreSQL's own words: `PREPARE` and `EXECUTE`, `COPY` in bytes, its functions of times.

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio_postgres::types::Type;

use super::{code, connect, simple};
use crate::harness::{Options, Vispyr};

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_by_statements() {
    let vispyr = Vispyr::start(Options::config("[sql]\nmax_statement = \"4KiB\"\n")).await;
    let client = connect(&vispyr).await;
    let some = |text: &str| vec![vec![Some(text.to_owned())]];
    simple(&client, "PREPARE p (int, text) AS SELECT n || $2 AS x FROM range(9) AS r(n) WHERE n = $1").await;
    assert_eq!(simple(&client, "EXECUTE p(1 + 2, 'a''b')").await, some("3a'b"));
    // The extended protocol has the same names, and knows what the statement gives.
    let prepared = client.prepare("EXECUTE p(4, '')").await.unwrap();
    assert_eq!(prepared.columns().iter().map(|column| column.type_().clone()).collect::<Vec<_>>(), [Type::TEXT]);
    assert_eq!(client.query_one(&prepared, &[]).await.unwrap().get::<_, &str>(0), "4");
    for (wrong, expected) in [
        ("EXECUTE p(1)", "42601"),
        ("EXECUTE nobody(1)", "26000"),
        ("PREPARE p AS SELECT 1", "42P05"),
        ("PREPARE q AS DELETE FROM spans", "25006"),
        ("EXECUTE q", "26000"),
        ("PREPARE r AS SELECT $1; EXECUTE r(nextval('s'))", "42501"),
        ("EXECUTE p(1, (SELECT 'a'); DROP VIEW spans)", "42601"),
    ] {
        let error = client.simple_query(wrong).await.unwrap_err();
        assert_eq!(code(&error), expected, "{wrong}: {error:?}");
    }
    // What becomes too long with its values is not made.
    let many = "$1,".repeat(1000);
    simple(&client, &format!("PREPARE many AS SELECT [{many} 1]")).await;
    let error = client.simple_query(&format!("EXECUTE many('{}')", "x".repeat(3000))).await.unwrap_err();
    assert_eq!(code(&error), "54000", "{error:?}");
    assert!(client.simple_query("DEALLOCATE p; EXECUTE p(1, 'a')").await.is_err());
    assert_eq!(simple(&client, "SELECT 1").await, some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_copied_out_in_bytes() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    let query = "SELECT n, CASE WHEN n = 1 THEN 'a' END AS t FROM range(2) AS r(n)";
    let copied = client.copy_out(&format!("COPY ({query}) TO STDOUT (FORMAT binary)")).await.unwrap();
    let parts: Vec<Bytes> = copied.try_collect().await.unwrap();
    let expected = [
        &b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..],
        b"\0\x02\0\0\0\x08\0\0\0\0\0\0\0\0\xff\xff\xff\xff",
        b"\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\x01a",
        b"\xff\xff",
    ];
    assert_eq!(parts.concat(), expected.concat());
    // Rows of one length, which are written otherwise, and many of them: the driver reads them by their types.
    let many = "COPY (SELECT n, n / 2 AS half FROM range(300000) AS r(n) LIMIT 100000) TO STDOUT WITH BINARY";
    let stream = tokio_postgres::binary_copy::BinaryCopyOutStream::new(
        client.copy_out(many).await.unwrap(),
        &[Type::INT8, Type::FLOAT8],
    );
    let rows: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(rows.len(), 100_000);
    assert!(
        rows.iter().enumerate().all(|(n, row)| row.get::<i64>(0) == n as i64 && row.get::<f64>(1) == n as f64 / 2.0)
    );
    let none: Vec<Bytes> =
        client.copy_out("COPY (SELECT 1 WHERE false) TO STDOUT BINARY").await.unwrap().try_collect().await.unwrap();
    assert_eq!(none.concat(), [expected[0], expected[3]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_times_have_the_names_of_postgresql() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    for (expression, expected) in [
        ("to_timestamp('2026-11-29 10:00:00.123456', 'YYYY-MM-DD HH24:MI:SS.US')", "2026-11-29 10:00:00.123456+00"),
        ("to_timestamp(1.5)", "1970-01-01 00:00:01.5+00"),
        ("to_date('2026-11-29', 'YYYY-MM-DD')", "2026-11-29"),
        ("to_char(TIMESTAMP '2026-11-29 15:04:05.5', 'DD.MM.YY HH12:MI:SS.MS PM')", "29.11.26 03:04:05.500 PM"),
        ("to_char(max(start_time), 'YYYY') IS NULL", "t"),
        ("date_bin('5 minutes', TIMESTAMP '2026-11-29 10:07:00', '2026-01-01')", "2026-11-29 10:05:00+00"),
        ("clock_timestamp() > now() - INTERVAL '1 hour'", "t"),
        ("'{\"a\":{\"b\":1}}'::jsonb->'a'->>'b'", "1"),
        ("count(attributes->'a'->>'b')", "0"),
        ("count(events->0->>'name')", "0"),
    ] {
        let rows = simple(&client, &format!("SELECT {expression} FROM spans")).await;
        let rows = if rows.is_empty() { simple(&client, &format!("SELECT {expression}")).await } else { rows };
        assert_eq!(rows, [[Some(expected.to_owned())]], "{expression}");
    }
    for condition in [
        "start_time >= TO_TIMESTAMP('2026-11-29 10:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')",
        "start_time >= (timestamp 'epoch' + 5 * interval '1 second')",
    ] {
        let rows = simple(&client, &format!("SELECT count(*) FROM spans WHERE {condition}")).await;
        assert_eq!(rows, [[Some("0".to_owned())]], "{condition}");
    }
}
