//! Clients of PostgreSQL's protocol that do wrong, by mistake or on purpose.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::NoTls;

use super::raw::{self, Raw, message};
use super::{code, connect, connect_as, resident, simple};
use crate::access::authority::write;
use crate::harness::{DEADLINE, Options, Vispyr};
use crate::sql_gates::{HOSTILE, statements};

/// Messages of each type, and what is wrong with each. Each ends its own connection, with an error that says why.
#[tokio::test(flavor = "multi_thread")]
async fn each_type_of_message_may_be_malformed_in_each_way() {
    let vispyr = Vispyr::serve().await;
    let whole: [(u8, &[u8]); 12] = [
        (b'Q', b"SELECT 1\0"),
        (b'P', b"\0SELECT 1\0\0\0"),
        (b'B', b"\0\0\0\0\0\0\0\0"),
        (b'D', b"S\0"),
        (b'E', b"\0\0\0\0\0"),
        (b'C', b"S\0"),
        (b'H', b""),
        (b'S', b""),
        (b'f', b"why\0"),
        (b'c', b""),
        (b'd', b"1"),
        (b'p', b"secret\0"),
    ];
    let mut cases: Vec<(Vec<u8>, &str)> = Vec::new();
    for (kind, body) in whole {
        let has_rest = matches!(kind, b'd' | b'p');
        if !has_rest {
            cases.push((message(kind, &[body, b"x"].concat()), "08P01"));
        }
        if !has_rest && !body.is_empty() {
            cases.push((message(kind, &body[..body.len() - 1]), "08P01"));
        }
        for length in [0_u32, 3, 0x8000_0000, 0xffff_ffff] {
            cases.push(([&[kind][..], &length.to_be_bytes()].concat(), "08P01"));
        }
        cases.push(([&[kind][..], &0x7fff_ffff_u32.to_be_bytes()].concat(), "54000"));
    }
    for unknown in [0, b'!', b'F', b'R', b'Z', 0xff] {
        cases.push((message(unknown, b""), "08P01"));
    }
    cases.extend([
        // A count of more than there is, a value longer than there is, of negative length.
        (message(b'P', b"\0SELECT 1\0\xff\xff\0\0\0\x17"), "08P01"),
        (message(b'B', b"\0\0\0\0\0\x02\0\0\0\x01a\0\0"), "08P01"),
        (message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xffa\0\0"), "08P01"),
        (message(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"), "08P01"),
        (message(b'D', b"X\0"), "08P01"),
        (message(b'Q', b"SELECT '\xff'\0"), "22021"),
        // Nobody has asked for a password, and the first message comes once.
        (message(b'p', b"secret\0"), "08P01"),
        (b"\0\0\0\x10\0\x03\0\0user\0a\0\0".to_vec(), "08P01"),
    ]);
    for (bytes, expected) in &cases {
        let mut raw = Raw::login(&vispyr, "somebody").await;
        raw.send(bytes).await;
        raw.shutdown().await;
        let last = raw.read_to_end().await;
        let text = String::from_utf8_lossy(&last).into_owned();
        assert!(
            last.first() == Some(&b'E') && text.contains(&format!("C{expected}\0")) && text.contains("SFATAL\0"),
            "{bytes:?}: {text:?}"
        );
    }
    assert!(cases.len() > 80);
    // What belongs to a COPY that there is not is for nothing, as in PostgreSQL.
    let mut raw = Raw::login(&vispyr, "somebody").await;
    raw.send(&[message(b'd', b"1"), message(b'c', b""), message(b'f', b"why\0")].concat()).await;
    raw.query("SELECT 1").await;
    assert!(raw.until_ready().await.iter().any(|(kind, _)| *kind == b'D'));
}

/// Counts and types of parameters that are not those of the statement: the connection goes on.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_wrong_count_and_type_are_refused() {
    let vispyr = Vispyr::serve().await;
    let mut raw = Raw::login(&vispyr, "somebody").await;
    let typed = |oid: u32| {
        let body = [&b"\0SELECT $1 AS x\0\0\x01"[..], &oid.to_be_bytes()].concat();
        message(b'P', &body)
    };
    let binary = |value: &[u8]| {
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        message(b'B', &[&b"\0\0\0\x01\0\x01\0\x01"[..], &length, value, b"\0\0"].concat())
    };
    let (int4, numeric, time, uuid, ints) = (23, 1700, 1184, 2950, 1007);
    for (messages, expected) in [
        ([typed(int4), raw::bind("", "", &[])].concat(), "08P01"),
        ([typed(int4), raw::bind("", "", &[Some(b"1"), Some(b"2")])].concat(), "08P01"),
        ([typed(int4), raw::bind("", "", &[Some(b"five")])].concat(), "22P02"),
        ([typed(int4), raw::bind("", "", &[Some(b"\xff")])].concat(), "22P02"),
        ([typed(int4), binary(b"\0\0\x05")].concat(), "22P03"),
        ([typed(int4), binary(b"\0\0\0\0\x05")].concat(), "22P03"),
        ([typed(numeric), binary(b"\0\x09\0\0\0\0\0\0")].concat(), "22P03"),
        ([typed(time), binary(b"\0")].concat(), "22P03"),
        ([typed(uuid), binary(b"\0\0\0\0")].concat(), "22P03"),
        ([typed(ints), binary(b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\x01")].concat(), "22P03"),
        ([typed(ints), raw::bind("", "", &[Some(b"{1,2")])].concat(), "22P02"),
        // Formats that there are not, and more than there are values.
        ([typed(int4), message(b'B', b"\0\0\0\x01\0\x07\0\x01\0\0\0\x011\0\0")].concat(), "08P01"),
        ([typed(int4), message(b'B', b"\0\0\0\x02\0\0\0\0\0\x01\0\0\0\x011\0\0")].concat(), "08P01"),
    ] {
        raw.send(&[messages.clone(), raw::execute("", 0), raw::sync()].concat()).await;
        let answer = raw.until_ready().await;
        let errors: Vec<String> = answer
            .iter()
            .filter(|(kind, _)| *kind == b'E')
            .map(|(_, body)| String::from_utf8_lossy(body).into_owned())
            .collect();
        assert!(errors.len() == 1 && errors[0].contains(&format!("C{expected}\0")), "{messages:?}: {errors:?}");
    }
    raw.query("SELECT 1").await;
    assert!(raw.until_ready().await.iter().any(|(kind, _)| *kind == b'D'));
}

/// The same statements that the gates refuse over HTTP, by both halves of this protocol.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_by_both_protocols() {
    /// What this port knows by itself: it opens no transaction of the store's, and takes several statements at once,
    /// each through the gates. What asks of the catalog is answered by another instance, which has no data.
    const OWN: &[&str] = &[
        "BEGIN",
        "BEGIN TRANSACTION READ WRITE",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK",
        "ABORT",
        "SELECT 1; SELECT 2",
        "SELECT 1 /* ; */ ; COMMIT",
        "SELECT current_setting('temp_directory')",
        "SELECT txid_current()",
        "FROM pg_settings",
        "SELECT name, setting FROM pg_catalog.pg_settings",
        "SELECT view_definition FROM information_schema.views",
        "SELECT definition FROM pg_catalog.pg_views",
    ];
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    let (mut passed, mut count) = (Vec::new(), 0);
    for statement in statements(HOSTILE).filter(|statement| !OWN.contains(statement)) {
        count += 1;
        if client.simple_query(statement).await.is_ok() {
            passed.push(format!("simple: {statement}"));
        }
        let prepared = match client.prepare(statement).await {
            Ok(prepared) => client.query(&prepared, &[]).await.map(drop),
            Err(error) => Err(error),
        };
        if prepared.is_ok() {
            passed.push(format!("extended: {statement}"));
        }
        let _ = client.simple_query("ROLLBACK").await;
    }
    assert!(count >= 150, "{count} statements");
    assert!(passed.is_empty(), "{} of {count} got past the gates:\n{}", passed.len(), passed.join("\n"));
    assert_eq!(simple(&client, "SELECT count(*) FROM spans").await, [[Some("0".to_owned())]]);
    assert_eq!(simple(&client, "SELECT current_setting('temp_directory')").await, [[None]]);
    let definitions =
        simple(&client, "SELECT definition FROM pg_views UNION SELECT view_definition FROM information_schema.views");
    assert_eq!(definitions.await, [[Some("SELECT ...".to_owned())]]);
    let settings =
        simple(&client, "SELECT name FROM pg_settings WHERE name LIKE '%memory%' OR setting LIKE '%/%'").await;
    assert!(settings.is_empty(), "{settings:?}");
    let written = std::fs::read_dir("/tmp").unwrap().flatten();
    assert!(!written.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("vispyr-hostile")));
}

/// Passes a connection on to the port, and lets `change` see what the client sends.
async fn relay(vispyr: &Vispyr, change: impl Fn(usize, &mut Vec<u8>) + Send + Sync + 'static) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (listener.local_addr().unwrap(), vispyr.address("postgres"));
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = async {
            let mut buffer = vec![0; 1 << 16];
            for n in 0.. {
                let Ok(read @ 1..) = from_client.read(&mut buffer).await else { return };
                let mut bytes = buffer[..read].to_vec();
                change(n, &mut bytes);
                if to_server.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(up, tokio::io::copy(&mut from_server, &mut to_client)).1
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once_and_only_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    write(&users, "shop:secret\n");
    let config = format!("[postgres.auth]\nbasic_users_file = {users:?}\n");
    let vispyr = Vispyr::start(Options::config(&config)).await;
    let login = async |address: std::net::SocketAddr| {
        let config = format!("host={} port={} user=shop password=secret sslmode=disable", address.ip(), address.port());
        tokio_postgres::connect(&config, NoTls).await.map(drop)
    };

    // A login that somebody listens to: the startup message, the first message of SCRAM, the proof.
    let (send, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let address = relay(&vispyr, move |_, bytes| drop(send.send(bytes.clone()))).await;
    login(address).await.unwrap();
    let heard: Vec<Vec<u8>> =
        [heard.recv().await, heard.recv().await, heard.recv().await].into_iter().flatten().collect();
    assert!(heard[1].starts_with(b"p") && heard[2].windows(2).any(|two| two == b"p="), "{heard:?}");

    // Sent again byte for byte: the server has another nonce now.
    let mut raw = Raw::open(&vispyr).await;
    for bytes in &heard {
        raw.send(bytes).await;
        raw.message().await;
    }
    let last = String::from_utf8_lossy(&raw.last).into_owned();
    assert!(last.contains("C28P01\0"), "{last:?}");

    // One bit of the proof is another; the nonce is not the server's; no channel binding that was not agreed upon.
    for (what, from, to) in [("the proof", "p=", ""), ("the nonce", ",r=", ",r=x"), ("the binding", "c=biws", "c=eSws")]
    {
        let address = relay(&vispyr, move |n, bytes| {
            if n == 2 {
                let text = String::from_utf8_lossy(&bytes[5..]).into_owned();
                let changed = if to.is_empty() {
                    let at = text.find(from).unwrap() + from.len();
                    let other = if &text[at..=at] == "A" { "B" } else { "A" };
                    format!("{}{other}{}", &text[..at], &text[at + 1..])
                } else {
                    text.replacen(from, to, 1)
                };
                *bytes = message(b'p', changed.as_bytes());
            }
        })
        .await;
        let error = login(address).await.expect_err(what);
        assert_eq!(code(&error), "28P01", "{what}: {error:?}");
    }
    assert!(connect_as(&vispyr, "user=shop password=secret").await.is_ok());
}

/// Ten thousand connections that never say who they are.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_half_open_connections_cost_little_and_keep_nobody_out() {
    const MANY: usize = 10_000;
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < 2 * MANY as u64) {
        eprintln!("SKIPPED: no {MANY} files may be open here");
        return;
    }
    // The program inherits it.
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    assert!(client.simple_query("SELECT 1").await.is_ok());
    let before = resident(&vispyr);
    let mut open = Vec::with_capacity(MANY);
    for n in 0..MANY {
        let mut raw = Raw::open(&vispyr).await;
        // Some say half of something.
        if n % 3 == 0 {
            raw.try_send(b"\0\0\0\x50\0\x03\0\0us").await;
        }
        open.push(raw);
        if n % 1000 == 0 {
            assert!(client.simple_query("SELECT 1").await.is_ok(), "after {n}");
        }
    }
    let grown = resident(&vispyr).saturating_sub(before);
    assert!(grown < 64 << 20, "{MANY} half-open connections cost {grown} bytes");
    // Who was there is served, and so is who comes now.
    assert!(client.simple_query("SELECT 1").await.is_ok());
    let newcomer = tokio::time::timeout(Duration::from_secs(20), connect(&vispyr)).await.expect("a place");
    assert_eq!(simple(&newcomer, "SELECT 7").await, [[Some("7".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_is_never_closed_keeps_its_reader_for_the_time_limit_only() {
    let vispyr =
        Vispyr::start(Options::config("[sql]\nconcurrency = 1\ntime_limit = \"2s\"\nmax_rows = 100000000\n")).await;
    let mut raw = Raw::login(&vispyr, "somebody").await;
    raw.query("BEGIN").await;
    raw.until_ready().await;
    let long = "SELECT n FROM range(50000000) AS r(n)";
    // A busy machine may take so long for it that its time is over, and with it the transaction.
    let deadline = Instant::now() + DEADLINE;
    loop {
        raw.send(&[raw::parse("", long), raw::bind("p", "", &[]), raw::execute("p", 10), raw::sync()].concat()).await;
        if raw.until_ready().await.iter().any(|(kind, _)| *kind == b's') {
            break;
        }
        assert!(Instant::now() < deadline, "it is not suspended");
        raw.query("ROLLBACK; BEGIN").await;
        raw.until_ready().await;
    }
    let client = connect(&vispyr).await;
    vispyr.wait("somebody else has a turn", || async { client.simple_query("SELECT 7").await.ok().map(drop) }).await;
    // Its rows are gone; the connection is not.
    raw.send(&[raw::execute("p", 0), raw::sync()].concat()).await;
    let answer = raw.until_ready().await;
    let error =
        answer.iter().find(|(kind, _)| *kind == b'E').map(|(_, body)| String::from_utf8_lossy(body).into_owned());
    assert!(error.as_ref().is_some_and(|error| error.contains("sql.time_limit")), "{error:?}");
    raw.query("ROLLBACK; SELECT 8").await;
    assert!(raw.until_ready().await.iter().any(|(kind, _)| *kind == b'D'));
    // Many of them: one connection has so many and no more.
    let mut opened = 0;
    raw.query("BEGIN").await;
    raw.until_ready().await;
    raw.send(&[raw::parse("s", "SELECT 1"), raw::sync()].concat()).await;
    raw.until_ready().await;
    for n in 0..3_000 {
        raw.send(&[raw::bind(&format!("p{n}"), "s", &[]), raw::sync()].concat()).await;
        if raw.until_ready().await.iter().any(|(kind, _)| *kind == b'E') {
            break;
        }
        opened += 1;
    }
    assert!((100..3_000).contains(&opened), "{opened}");
}
