//! PostgreSQL's protocol: a driver of PostgreSQL's, psql, and bare messages.

pub mod clients;
pub mod endurance;
pub mod faults;
pub mod raw;
pub mod statements;

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::access::authority::{Authority, write};
use crate::harness::{Options, Vispyr};
use raw::Raw;

async fn connect(vispyr: &Vispyr) -> Client {
    connect_as(vispyr, "user=somebody").await.expect("a connection")
}

async fn connect_as(vispyr: &Vispyr, how: &str) -> Result<Client, tokio_postgres::Error> {
    let address = vispyr.address("postgres");
    let config = format!("host={} port={} dbname=vispyr {how}", address.ip(), address.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The rows of a text with one or more statements, as text.
async fn simple(client: &Client, text: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|n| row.get(n).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.as_db_error().map_or("none", |error| error.code().code())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_the_same_in_text_and_in_binary() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    for (expression, kind, text) in [
        ("true", Type::BOOL, "t"),
        ("5::UTINYINT", Type::INT2, "5"),
        ("-5::INTEGER", Type::INT4, "-5"),
        ("5::UINTEGER", Type::INT8, "5"),
        ("9223372036854775807", Type::INT8, "9223372036854775807"),
        ("18446744073709551615::UBIGINT", Type::NUMERIC, "18446744073709551615"),
        ("170141183460469231731687303715884105727::HUGEINT", Type::NUMERIC, "170141183460469231731687303715884105727"),
        ("340282366920938463463374607431768211455::UHUGEINT", Type::NUMERIC, "340282366920938463463374607431768211455"),
        ("-1.50::DECIMAL(9,2)", Type::NUMERIC, "-1.50"),
        ("0.1::FLOAT", Type::FLOAT4, "0.1"),
        ("'-Infinity'::DOUBLE", Type::FLOAT8, "-Infinity"),
        ("'a''b'", Type::TEXT, "a'b"),
        ("'\\x00\\xAB'::BLOB", Type::BYTEA, "\\x00ab"),
        ("make_timestamp_ns(1767225600123456789)", Type::TIMESTAMPTZ, "2026-01-01 00:00:00.123456+00"),
        ("TIMESTAMP '1999-12-31 23:59:59.5'", Type::TIMESTAMPTZ, "1999-12-31 23:59:59.5+00"),
        ("DATE '2026-01-01'", Type::DATE, "2026-01-01"),
        ("TIME '10:00:00.5'", Type::TIME, "10:00:00.5"),
        ("INTERVAL '14 months 3 days 4 hours'", Type::INTERVAL, "1 year 2 mons 3 days 04:00:00"),
        ("'12345678-1234-1234-1234-123456789abc'::UUID", Type::UUID, "12345678-1234-1234-1234-123456789abc"),
        ("{'a': [1, NULL]}", Type::JSONB, "{\"a\":[1,null]}"),
        ("{'a': 'x'}", Type::JSONB, "{\"a\":\"x\"}"),
        ("[1.5, NULL]::DOUBLE[]", Type::FLOAT8_ARRAY, "{1.5,NULL}"),
        ("['a b', '']", Type::TEXT_ARRAY, "{\"a b\",\"\"}"),
        ("[[1], [2]]", Type::JSONB, "[[1],[2]]"),
    ] {
        let statement = format!("SELECT {expression} AS x, NULL AS nothing");
        assert_eq!(simple(&client, &statement).await, [[Some(text.to_owned()), None]], "{expression}");
        let prepared = client.prepare(&statement).await.unwrap_or_else(|error| panic!("{expression}: {error:?}"));
        assert_eq!(prepared.columns()[0].type_(), &kind, "{expression}");
        // The driver asks for binary, and knows what it has to be.
        let row = client.query_one(&prepared, &[]).await.unwrap_or_else(|error| panic!("{expression}: {error:?}"));
        match kind {
            Type::BOOL => assert!(row.get::<_, bool>(0)),
            Type::INT2 => assert_eq!(row.get::<_, i16>(0).to_string(), text),
            Type::INT4 => assert_eq!(row.get::<_, i32>(0).to_string(), text),
            Type::INT8 => assert_eq!(row.get::<_, i64>(0).to_string(), text),
            Type::FLOAT4 => assert_eq!(row.get::<_, f32>(0).to_string(), text),
            Type::FLOAT8 => assert_eq!(row.get::<_, f64>(0), f64::NEG_INFINITY),
            Type::TEXT => assert_eq!(row.get::<_, String>(0), text),
            Type::BYTEA => assert_eq!(row.get::<_, Vec<u8>>(0), [0, 0xab]),
            Type::FLOAT8_ARRAY => assert_eq!(row.get::<_, Vec<Option<f64>>>(0), [Some(1.5), None]),
            Type::TEXT_ARRAY => assert_eq!(row.get::<_, Vec<String>>(0), ["a b", ""]),
            _ => assert!(!row.is_empty()),
        }
    }
    let time = client.query_one("SELECT TIMESTAMP '2026-01-01 00:00:00.5'", &[]).await.unwrap();
    let time: std::time::SystemTime = time.get(0);
    assert_eq!(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros(), 1_767_225_600_500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_types_of_what_they_stand_beside() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    let statement = "SELECT n, 'x' || $2 AS text FROM range(10) AS r(n) WHERE n > $1 AND n <= $3 ORDER BY n LIMIT $4";
    let prepared = client.prepare(statement).await.unwrap();
    assert_eq!(prepared.params(), [Type::INT8, Type::TEXT, Type::INT8, Type::INT8]);
    let rows = client.query(&prepared, &[&3_i64, &"y", &8_i64, &2_i64]).await.unwrap();
    let rows: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(4, "xy".to_owned()), (5, "xy".to_owned())]);
    let spans =
        client.prepare("SELECT name FROM spans WHERE start_time > $1 AND duration_ns IN ($2, $3)").await.unwrap();
    assert_eq!(spans.params(), [Type::TIMESTAMPTZ, Type::INT8, Type::INT8]);
    assert!(client.query(&spans, &[&std::time::SystemTime::now(), &1_i64, &2_i64]).await.unwrap().is_empty());
    let typed =
        client.prepare_typed("SELECT TIMESTAMP '2026-01-01' - $1 AS x, $2 AS y", &[Type::INTERVAL]).await.unwrap();
    assert_eq!(typed.columns()[0].type_(), &Type::TIMESTAMPTZ);
    let statement = "SELECT x FROM (VALUES ('a'), ('b')) AS v(x) WHERE x = ANY($1::VARCHAR[])";
    let found = client.query(statement, &[&vec!["b", "c"]]).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_now_and_of_a_zone_find_rows() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    for condition in [
        "start_time > now() - INTERVAL 30 MINUTE",
        "start_time BETWEEN '2026-11-28T10:00:00Z' AND '2026-11-28T11:00:00Z'",
        "start_time BETWEEN '2026-11-28T10:00:00+01:00' AND now()",
        "start_time > now() - INTERVAL '30 minutes'",
    ] {
        let rows = simple(&client, &format!("SELECT count(*) FROM spans WHERE {condition}")).await;
        assert_eq!(rows, [[Some("0".to_owned())]], "{condition}");
        assert_eq!(vispyr.count(&format!("SELECT count(*) FROM spans WHERE {condition}")).await, 0, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_give_their_rows_in_parts() {
    let vispyr = Vispyr::serve().await;
    let mut client = connect(&vispyr).await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT n FROM range(100000) AS r(n)", &[]).await.unwrap();
    let mut seen = 0;
    for expected in [30_000, 30_000, 30_000, 10_000] {
        let rows = transaction.query_portal(&portal, 30_000).await.unwrap();
        assert_eq!(rows.len(), expected);
        assert!(rows.iter().enumerate().all(|(n, row)| row.get::<_, i64>(0) == seen + n as i64));
        seen += expected as i64;
    }
    transaction.commit().await.unwrap();
    // The same as a cursor, as psycopg has it.
    assert_eq!(simple(&client, "BEGIN; DECLARE c CURSOR FOR SELECT n FROM range(5) AS r(n)").await.len(), 0);
    assert_eq!(simple(&client, "FETCH 2 FROM c").await.len(), 2);
    assert_eq!(simple(&client, "FETCH ALL FROM c").await.len(), 3);
    let error = client.simple_query("COMMIT; FETCH ALL FROM c").await.unwrap_err();
    assert_eq!(code(&error), "34000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_beside_queries() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    let some = |text: &str| vec![vec![Some(text.to_owned())]];
    for nothing in ["", " ; ", "-- ping", "/* a */;"] {
        assert!(simple(&client, nothing).await.is_empty());
        assert!(client.query(nothing, &[]).await.unwrap().is_empty(), "pgx pings so");
    }
    assert_eq!(simple(&client, "SELECT 1 AS a; SELECT ';' AS b;").await, [some("1"), some(";")].concat());
    assert_eq!(simple(&client, "SET extra_float_digits = 3; SHOW extra_float_digits").await, some("3"));
    assert_eq!(simple(&client, "SHOW TIME ZONE").await, some("UTC"));
    assert_eq!(simple(&client, "SHOW transaction isolation level").await, some("read committed"));
    assert!(simple(&client, "SHOW TABLES").await.len() > 10);
    assert!(simple(&client, "EXPLAIN SELECT 1").await.len() == 1);
    // A transaction that has failed takes nothing but its end.
    assert!(client.simple_query("BEGIN; SELECT nope").await.is_err());
    assert_eq!(code(&client.simple_query("SELECT 1").await.unwrap_err()), "25P02");
    assert_eq!(simple(&client, "ROLLBACK; SELECT 1").await, some("1"));
    let copied =
        client.copy_out("COPY (SELECT n, NULL AS x, 'a,b' AS c FROM range(2) AS r(n)) TO STDOUT CSV HEADER").await;
    let copied: Vec<Bytes> = copied.unwrap().try_collect().await.unwrap();
    assert_eq!(String::from_utf8(copied.concat()).unwrap(), "n,x,c\n0,,\"a,b\"\n1,,\"a,b\"\n");
    let copied = client.copy_out("COPY (SELECT n, NULL AS x FROM range(200000) AS r(n) LIMIT 100000) TO STDOUT").await;
    let copied: Vec<Bytes> = copied.unwrap().try_collect().await.unwrap();
    assert!(copied.concat().ends_with(b"\n99999\t\\N\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_codes_and_places() {
    let vispyr = Vispyr::start(Options::config("[sql]\nmax_rows = 10\n")).await;
    let client = connect(&vispyr).await;
    for (statement, expected, at) in [
        ("SELECT 1; SELECT nope FROM spans", "42703", Some("nope")),
        ("SELECT * FROM spams", "42P01", Some("spams")),
        ("SELECT 1 +", "42601", None),
        ("DELETE FROM spans", "25006", None),
        ("CREATE TABLE a (b int)", "25006", None),
        ("SELECT nextval('s')", "42501", Some("nextval")),
        ("SELECT 'a'::INTEGER", "22P02", None),
        ("COPY spans FROM STDIN", "25006", None),
        ("SET nope = 1", "42704", None),
        ("SHOW nope", "42704", None),
    ] {
        let error = client.simple_query(statement).await.unwrap_err();
        assert_eq!(code(&error), expected, "{statement}: {error:?}");
        if let Some(at) = at {
            let position = error.as_db_error().unwrap().position().cloned();
            let place = u32::try_from(statement.find(at).unwrap() + 1).unwrap();
            assert_eq!(position, Some(tokio_postgres::error::ErrorPosition::Original(place)), "{statement}");
        }
        assert!(client.simple_query("SELECT 1").await.is_ok(), "{statement}");
        let error = client.query(statement.trim_start_matches("SELECT 1; "), &[]).await.unwrap_err();
        assert_eq!(code(&error), expected, "{statement}, extended: {error:?}");
    }
    // More rows than are given: fewer come, and a warning.
    assert_eq!(simple(&client, "SELECT n FROM range(11) AS r(n)").await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_cancelled_and_run_out_of_time() {
    let vispyr = Vispyr::start(Options::config("[sql]\ntime_limit = \"60s\"\n")).await;
    let client = connect(&vispyr).await;
    const LONG: &str = "SELECT count(*) FROM range(100000000) AS a(n), range(100000) AS b(m) WHERE n * m = 7";
    let begun = Instant::now();
    let (cancelled, ()) = tokio::join!(client.simple_query(LONG), async {
        let token = client.cancel_token();
        vispyr
            .wait("the statement runs", || async {
                let stats = crate::harness::get(&vispyr.url("sql", "/stats")).await.ok()?.json();
                (stats["queries_running"].as_u64() == Some(1)).then_some(())
            })
            .await;
        token.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(code(&cancelled.unwrap_err()), "57014");
    assert!(begun.elapsed() < Duration::from_secs(30));
    let timed = client.simple_query(&format!("SET statement_timeout = '300ms'; {LONG}")).await;
    assert_eq!(code(&timed.unwrap_err()), "57014");
    // Another reader may have to be started for it.
    assert!(client.simple_query("RESET statement_timeout; SELECT 1").await.is_ok());
    // With a wrong secret nothing is cancelled, and nobody is told.
    let mut raw = Raw::login(&vispyr, "somebody").await;
    let number = raw.number;
    let mut other = Raw::open(&vispyr).await;
    let bytes = [&16_i32.to_be_bytes()[..], &80_877_102_i32.to_be_bytes(), &number.to_be_bytes(), &[0; 4]].concat();
    other.send(&bytes).await;
    assert!(other.read_to_end().await.is_empty());
    raw.query("SELECT 1").await;
    assert!(raw.until_ready().await.iter().any(|(kind, _)| *kind == b'D'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_ends_its_reader_costs_itself_alone() {
    let vispyr = Vispyr::start(Options::config("[sql]\ngates = false\n")).await;
    let client = connect(&vispyr).await;
    let error = client.simple_query("SELECT DISTINCT row([range]::INTEGER[1]) FROM range(3)").await.unwrap_err();
    assert_eq!(code(&error), "58000", "{error:?}");
    assert_eq!(simple(&client, "SELECT 7").await, [[Some("7".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_log_in_with_scram_and_tokens_as_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    write(&users, "shop:se:cret\nother:word\nshop:new\n");
    let tokens = folder.path().join("tokens");
    write(&tokens, "a-token-of-some-length\n");
    let both = format!("[postgres.auth]\nbasic_users_file = {users:?}\nbearer_tokens_file = {tokens:?}\n");
    let vispyr = Vispyr::start(Options::config(&both)).await;
    for (how, expected) in [
        ("user=shop password=se:cret", None),
        // While one password takes the place of another, both count.
        ("user=shop password=new", None),
        ("user=other password=word", None),
        ("user=token password=a-token-of-some-length", None),
        ("user=shop password=wrong", Some("28P01")),
        ("user=nobody password=se:cret", Some("28P01")),
        ("user=token password=se:cret", Some("28P01")),
    ] {
        match (connect_as(&vispyr, how).await, expected) {
            (Ok(client), None) => assert!(client.simple_query("SELECT 1").await.is_ok()),
            (Err(error), Some(expected)) => assert_eq!(code(&error), expected, "{how}: {error:?}"),
            (other, _) => panic!("{how}: {other:?}"),
        }
    }
    assert!(connect_as(&vispyr, "user=shop").await.is_err(), "no password");
    assert!(vispyr.metric("vispyr_unauthenticated_requests_total", &["port=\"postgres\""]).await >= 3.0);
}

/// Runs psql; what it prints, and whether it went well.
fn psql(vispyr: &Vispyr, how: &str, arguments: &[&str]) -> Option<(String, bool)> {
    let address = vispyr.address("postgres");
    let place = format!("host={} port={} dbname=vispyr user=shop {how}", address.ip(), address.port());
    let output = Command::new("psql").arg("-X").arg(place).args(arguments).output().ok()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some((text, output.status.success()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_with_tls_takes_nobody_without() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let server = ours.server("server");
    let users = folder.path().join("users");
    write(&users, "shop:secret\n");
    let config = format!(
        "[postgres.tls]\ncertificate_file = {:?}\nkey_file = {:?}\n[postgres.auth]\nbasic_users_file = {users:?}\n",
        server.certificate, server.key
    );
    let vispyr = Vispyr::start(Options::config(&config)).await;
    let error = connect_as(&vispyr, "user=shop password=secret sslmode=disable").await.unwrap_err();
    assert_eq!(code(&error), "28000", "{error:?}");
    let root = ours.file().display().to_string();
    let how = format!("password=secret sslmode=verify-ca sslrootcert={root}");
    let Some((text, is_well)) = psql(&vispyr, &how, &["-At", "-c", "SELECT 40 + 2"]) else {
        eprintln!("SKIPPED: there is no psql");
        return;
    };
    assert_eq!((text.trim(), is_well), ("42", true));
    let (text, is_well) = psql(&vispyr, "password=wrong sslmode=require", &["-c", "SELECT 1"]).unwrap();
    assert!(!is_well && text.contains("password authentication failed"), "{text}");
}

/// Resident memory of the program's first process, in bytes.
fn resident(vispyr: &Vispyr) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", vispyr.pid())).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_nothing_cost_little_and_give_way() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    assert!(client.simple_query("SELECT 1").await.is_ok());
    let before = resident(&vispyr);
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(Raw::login(&vispyr, "somebody").await);
    }
    let each = resident(&vispyr).saturating_sub(before) / idle.len();
    assert!(each < 100 << 10, "an idle connection costs {each} bytes");
    // More than there are places for: those that never said who they are go first.
    let mut half_open = Vec::new();
    for _ in 0..600 {
        half_open.push(Raw::open(&vispyr).await);
    }
    assert!(client.simple_query("SELECT 1").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_holds_only_its_own_statement() {
    let vispyr = Vispyr::start(Options::config("[sql]\nmax_rows = 100000000\ntime_limit = \"3s\"\n")).await;
    let mut raw = Raw::login(&vispyr, "somebody").await;
    raw.query("SELECT repeat('x', 1000) FROM range(10000000)").await;
    let client = connect(&vispyr).await;
    assert_eq!(simple(&client, "SELECT 7").await, [[Some("7".to_owned())]]);
    vispyr
        .wait("its reader is free", || async {
            let stats = crate::harness::get(&vispyr.url("sql", "/stats")).await.ok()?.json();
            (stats["queries_running"].as_u64() == Some(0)).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none_end_their_connection_with_an_error() {
    let vispyr = Vispyr::serve().await;
    for (bytes, expected) in [
        (&b"!\0\0\0\x04"[..], "08P01"),
        (b"Q\0\0\0\x03", "08P01"),
        (b"Q\xff\xff\xff\xff", "08P01"),
        (b"Q\x7f\xff\xff\xff", "54000"),
        (b"Q\0\0\0\x06a\xff", "08P01"),
        (b"Q\0\0\0\x06\xff\0", "22021"),
        (b"B\0\0\0\x08\0\0\0\x01", "08P01"),
        (b"p\0\0\0\x04", "08P01"),
    ] {
        let mut raw = Raw::login(&vispyr, "somebody").await;
        raw.send(bytes).await;
        let last = raw.read_to_end().await;
        assert_eq!(last[0], b'E', "{bytes:?}: {last:?}");
        let text = String::from_utf8_lossy(&last).into_owned();
        assert!(text.contains(&format!("C{expected}\0")) && text.contains("SFATAL\0"), "{bytes:?}: {text:?}");
    }
    // Before the login: nothing at all, or not as much as there has to be, or of another kind.
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x04", b"\0\0\0\x08\0\0\0\0", b"\0\0\0\x09\0\x03\0\0u"] {
        let mut raw = Raw::open(&vispyr).await;
        raw.send(bytes).await;
        raw.shutdown().await;
        let _ = raw.read_to_end().await;
    }
    // Errors of the extended protocol: everything up to Sync is for nothing.
    let mut raw = Raw::login(&vispyr, "somebody").await;
    for (message, expected) in [
        (raw::parse("", "SELECT 1; SELECT 2"), "42601"),
        (raw::bind("", "nothing", &[]), "26000"),
        (raw::execute("nothing", 0), "34000"),
        (raw::describe(b'P', "nothing"), "34000"),
        ([raw::parse("", "SELECT $1::INTEGER"), raw::bind("", "", &[])].concat(), "08P01"),
        (
            [raw::parse("", "SELECT $1::INTEGER"), raw::bind("", "", &[Some(b"five")]), raw::execute("", 0)].concat(),
            "22P02",
        ),
    ] {
        raw.send(&[message, raw::execute("", 0), raw::sync()].concat()).await;
        let messages = raw.until_ready().await;
        let errors: Vec<_> = messages.iter().filter(|(kind, _)| *kind == b'E').collect();
        assert_eq!(errors.len(), 1, "{messages:?}");
        let text = String::from_utf8_lossy(&errors[0].1).into_owned();
        assert!(text.contains(&format!("C{expected}\0")), "{expected}: {text:?}");
    }
    // A portal that is never closed, and statements behind it.
    raw.send(&[raw::parse("a", "SELECT 1 AS x"), raw::bind("p", "a", &[]), raw::execute("p", 1), raw::sync()].concat())
        .await;
    assert!(raw.until_ready().await.iter().any(|(kind, _)| *kind == b's'));
    raw.query("SELECT 2").await;
    assert!(raw.until_ready().await.iter().any(|(kind, _)| *kind == b'D'));
}
