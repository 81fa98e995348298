//! SQL over HTTP, as a reader serves it on its socket: formats, errors, limits.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use vispyr::store::sql::http::{Body, Host, plain};
use vispyr::store::sql::{Config, http as sql_http};

use super::sql_gates::{instance, service};

struct Server {
    dir: tempfile::TempDir,
    shutdown: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

struct Nobody;

impl Host for Nobody {
    fn answer(&self, _: &Method, path: &str, _: Bytes) -> Response<Body> {
        plain(StatusCode::OK, path)
    }

    fn fatal(&self, message: &str) {
        panic!("{message}");
    }
}

impl Server {
    fn start(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let service = service(instance(dir.path()), config);
        let listener = UnixListener::bind(dir.path().join("reader.sock")).unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(sql_http::serve(listener, service, Nobody, shutdown.clone()));
        Server { dir, shutdown }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let stream = UnixStream::connect(self.dir.path().join("reader.sock")).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    async fn ask(&self, sql: &str, accept: &str) -> Response<Bytes> {
        let request = Request::post("/api/v1/sql").header("host", "x").header("accept", accept);
        self.send(request.body(Full::from(sql.to_owned())).unwrap()).await
    }

    async fn json(&self, sql: &str) -> (StatusCode, Value) {
        let response = self.ask(sql, "application/json").await;
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_says_columns_rows_time_and_whether_it_is_all() {
    let server = Server::start(Config::default());
    let sql = "SELECT name, start_time, duration_ns, attributes, NULL AS n FROM spans ORDER BY start_time LIMIT 1";
    let (status, answer) = server.json(sql).await;
    assert_eq!(status, 200, "{answer}");
    let types: Vec<_> = answer["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(types[..4], ["VARCHAR", "TIMESTAMP_NS", "BIGINT", "VARIANT"]);
    assert_eq!(
        answer["rows"],
        json!([["GET /0", "2026-01-01T00:00:00.000000000Z", 0, {"http.route": "/0", "http.status_code": 200}, null]])
    );
    assert_eq!((&answer["row_count"], &answer["truncated"]), (&json!(1), &json!(false)));
    assert!(answer["elapsed_ms"].is_u64());

    let (_, exact) =
        server.json("SELECT 9007199254740993, 1::HUGEINT, 0.1::DECIMAL(3,1), 'nan'::DOUBLE, '\\xAB'::BLOB").await;
    assert_eq!(exact["rows"], json!([["9007199254740993", 1, 0.1, "NaN", "\\xAB"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_and_arrow_by_accept_and_parameters_by_json() {
    let server = Server::start(Config::default());
    let csv = server.ask("SELECT 1 AS \"a,b\", NULL AS c, '' AS d, 'x\"y' AS e", "text/csv").await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.body(), "\"a,b\",c,d,e\r\n1,,\"\",\"x\"\"y\"\r\n");
    assert_eq!(csv.headers()["x-vispyr-row-count"], "1");

    let arrow = server.ask("SELECT range AS i FROM range(5000)", "application/vnd.apache.arrow.stream").await;
    let reader = arrow::ipc::reader::StreamReader::try_new(&arrow.body()[..], None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 5000);

    let body =
        json!({"sql": "SELECT count(*), $2 || 'x' FROM spans WHERE service_name = $1", "params": ["shop0", "a"]});
    let request = Request::post("/api/v1/sql").header("content-type", "application/json");
    let answer = server.send(request.body(Full::from(body.to_string())).unwrap()).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["rows"], json!([[100, "ax"]]), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_duckdbs_own_with_the_position() {
    let server = Server::start(Config::default());
    let (status, answer) = server.json("SELECT name,\n  nope FROM spans").await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().starts_with("Binder Error"), "{answer}");
    assert_eq!(answer["position"], json!({"offset": 15, "line": 2, "column": 3}), "{answer}");

    let (status, answer) = server.json("SELECT name FORM spans WHERE").await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().starts_with("Parser Error"), "{answer}");
    assert!(answer["position"]["column"].is_u64(), "{answer}");

    let (status, answer) = server.json("SELECT * FROM read_text('/etc/passwd')").await;
    assert_eq!((status.as_u16(), &answer["position"]["column"]), (400, &json!(15)), "{answer}");

    let (status, answer) = server.json(&format!("SELECT '{}'", "x".repeat(256 << 10))).await;
    assert_eq!(status, 413, "{answer}");
    let (status, _) = server.json("SELECT (1/0)::INTEGER + 'x'::INTEGER").await;
    assert_eq!(status, 400);
    let get = server.send(Request::put("/api/v1/sql").body(Full::default()).unwrap()).await;
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(server.send(Request::get("/other").body(Full::default()).unwrap()).await.body(), "/other");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_time_are_limited() {
    let config = Config { max_rows: 3000, time_limit: Duration::from_millis(700), ..Config::default() };
    let server = Server::start(config);
    let (_, answer) = server.json("SELECT * FROM range(1000000)").await;
    assert_eq!((&answer["row_count"], &answer["truncated"]), (&json!(3000), &json!(true)));
    let (_, answer) = server.json("SELECT * FROM range(3000)").await;
    assert_eq!((&answer["row_count"], &answer["truncated"]), (&json!(3000), &json!(false)));
    let csv = server.ask("SELECT * FROM range(5000)", "text/csv").await;
    assert_eq!(csv.headers()["x-vispyr-truncated"], "true");

    let slow = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
    let (status, _) = server.json(slow).await;
    assert_eq!(status, 504);
    assert_eq!(server.json("SELECT 1").await.0, 200, "the next one runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_frees_the_reader() {
    let server = Server::start(Config::default());
    let slow = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
    let status = async || server.send(Request::get("/api/v1/sql").body(Full::default()).unwrap()).await.status();
    assert_eq!(status().await, 200);
    let busy = async {
        while status().await != 409 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = server.json(slow) => panic!("{answer:?}"),
        () = busy => {}
    }
    // Long before the time limit of 30 s.
    let next = tokio::time::timeout(Duration::from_secs(15), server.json("SELECT 1")).await.unwrap();
    assert_eq!(next.0, 200);
}

/// With the real program: what the gates do not stop costs that statement, not a receiver, not a
/// row. `sql.gates` lets the statements through that are known to do harm.
mod harm {
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use crate::harness::{Answer, Options, Vispyr, get, post};

    /// How an answer in chunks ends.
    const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
    /// Reads past the end of a vector: mostly a fault of memory, at times an internal error that DuckDB notices.
    const CRASHES: &str = "SELECT DISTINCT row([range]::INTEGER[1]) FROM range(3)";
    const IGNORES_ITS_INTERRUPT: &str = "SELECT levenshtein(repeat('a', 400000), repeat('b', 400000))";
    const TAKES_MEMORY_STEP_BY_STEP: &str =
        "SELECT sum(damerau_levenshtein(repeat('a', 9000), repeat('b', 9000 + range::INT))) FROM range(20)";
    const TAKES_MEMORY: &str = "SELECT damerau_levenshtein(repeat('a', 40000), repeat('b', 40000))";

    /// Sends spans without a pause while `work` goes on; every one must be acknowledged, and all of
    /// them must be there in the end.
    async fn while_ingesting(vispyr: &Vispyr, work: impl Future<Output = ()>) {
        let (stop, sent) = (AtomicBool::new(false), AtomicI64::new(0));
        let url = vispyr.url("otlp_http", "/v1/traces");
        let send = async {
            while !stop.load(Ordering::Relaxed) {
                let first = sent.load(Ordering::Relaxed);
                let span = |i| {
                    json!({"traceId": format!("{:032x}", 1 + (first + i) / 10), "spanId": format!("{:016x}", first + i + 1),
                        "name": "op", "kind": 2, "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225600001000000"})
                };
                let spans: Vec<_> = (0..20).map(span).collect();
                let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
                let answer = post(&url, "application/json", body).await.expect("the receiver answers");
                assert_eq!(answer.status, 200, "{}", answer.text());
                sent.fetch_add(20, Ordering::Relaxed);
            }
        };
        let work = async {
            work.await;
            stop.store(true, Ordering::Relaxed);
        };
        tokio::join!(send, work);
        assert!(sent.load(Ordering::Relaxed) > 20);
        vispyr.wait_count("SELECT count(*) FROM spans", sent.load(Ordering::Relaxed)).await;
        vispyr.wait_count("SELECT count(DISTINCT span_id) FROM spans", sent.load(Ordering::Relaxed)).await;
    }

    async fn ask(vispyr: &Vispyr, statement: &str) -> Answer {
        vispyr.ask(statement, "application/json").await
    }

    /// Waits until a statement runs.
    async fn runs(vispyr: &Vispyr) {
        vispyr
            .wait("a statement runs", || async {
                let stats = get(&vispyr.url("sql", "/stats")).await.ok()?;
                (stats.json()["queries_running"].as_u64()? > 0).then_some(())
            })
            .await;
    }

    fn error(answer: &Answer) -> String {
        answer.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_statement_that_crashes_duckdb_costs_that_statement() {
        let vispyr = Vispyr::start(Options::config("[sql]\ngates = false")).await;
        while_ingesting(&vispyr, async {
            let engine = vispyr.engine_pid();
            let answer = ask(&vispyr, CRASHES).await;
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(error(&answer).contains("the reader crashed"), "{}", answer.text());
            assert!(answer.headers.contains_key("retry-after"));

            // A statement that runs beside it goes on; the second time is the last.
            let (bystander, answer) = tokio::join!(
                ask(&vispyr, "SELECT count(*) FROM range(5000) a, range(5000) b WHERE a.range * b.range % 7 = 3"),
                async {
                    runs(&vispyr).await;
                    ask(&vispyr, &format!("  {CRASHES};")).await
                }
            );
            assert_eq!((bystander.status, answer.status), (200, 503), "{}\n{}", bystander.text(), answer.text());
            assert_eq!(vispyr.engine_pid(), engine);
            let refused = ask(&vispyr, CRASHES).await;
            assert_eq!(refused.status, 429, "{}", refused.text());
            assert!(error(&refused).contains("twice") && refused.headers.contains_key("retry-after"));
        })
        .await;
        assert!(vispyr.log().contains("row([range]::INTEGER[1])"), "the statement is in the journal");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_statement_that_ignores_its_interrupt_ends_with_its_reader() {
        let vispyr = Vispyr::start(Options::config("[sql]\ngates = false\ntime_limit = \"1s\"")).await;
        while_ingesting(&vispyr, async {
            // On a machine that is busy with others it may not get to ignore anything, and is not blamed.
            let mut ignored = 0;
            for _ in 0..20 {
                let answer = ask(&vispyr, IGNORES_ITS_INTERRUPT).await;
                vispyr.wait_count("SELECT 1", 1).await;
                match (answer.status, error(&answer)) {
                    (503, why) if why.contains("ignored its interrupt") => ignored += 1,
                    (503, why) => assert!(why.contains("too busy"), "{why}"),
                    (status, why) => assert!(status == 504 && why.contains("was interrupted"), "{status} {why}"),
                }
                if ignored == 2 {
                    break;
                }
            }
            assert_eq!(ignored, 2);
            assert_eq!(ask(&vispyr, IGNORES_ITS_INTERRUPT).await.status, 429);
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_statement_that_takes_memory_costs_itself() {
        let vispyr = Vispyr::start(Options::config("[sql]\ngates = false\nmemory_limit = \"256MiB\"")).await;
        while_ingesting(&vispyr, async {
            let engine = vispyr.engine_pid();
            // By the kernel's bound, or by the front's watch.
            let answer = ask(&vispyr, TAKES_MEMORY).await;
            assert!(matches!(answer.status, 503 | 507), "{}", answer.text());
            assert!(error(&answer).to_lowercase().contains("memory"), "{}", answer.text());
            let answer = ask(&vispyr, TAKES_MEMORY_STEP_BY_STEP).await;
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(error(&answer).contains("sql.memory_limit"), "{}", answer.text());
            assert_eq!(ask(&vispyr, "SELECT 1").await.status, 200);
            assert_eq!(vispyr.engine_pid(), engine);
        })
        .await;
    }

    /// An answer of 100 MB.
    const LONG: &str = "SELECT repeat('x', 1000) FROM range(100000)";

    /// Asks, and reads nothing.
    async fn asked(vispyr: &Vispyr, statement: &str) -> TcpStream {
        let mut stream = TcpStream::connect(vispyr.address("sql")).await.unwrap();
        let length = statement.len();
        let head = "POST /api/v1/sql HTTP/1.1\r\nhost: x\r\nconnection: close";
        let request = format!("{head}\r\ncontent-length: {length}\r\n\r\n{statement}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// What is left of an answer, up to where the connection ends.
    async fn rest(stream: &mut TcpStream) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        // A reset is as good an end.
        let _ = read.expect("the connection ends");
        rest
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_never_reads_has_its_time_and_then_others_go_on() {
        let vispyr = Vispyr::start(Options::config("[sql]\nconcurrency = 1\ntime_limit = \"1s\"")).await;
        while_ingesting(&vispyr, async {
            let mut never_reads = asked(&vispyr, LONG).await;
            runs(&vispyr).await;
            vispyr
                .wait("others are answered", || async {
                    let answer = ask(&vispyr, "SELECT 1").await;
                    (answer.status == 200).then_some(())
                })
                .await;
            let rest = rest(&mut never_reads).await;
            assert!(rest.len() < 90_000_000 && !rest.ends_with(LAST_CHUNK), "{} bytes", rest.len());
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_that_breaks_off_does_not_look_whole() {
        let vispyr = Vispyr::serve().await;
        let mut reads = asked(&vispyr, LONG).await;
        reads.read_exact(&mut vec![0; 2 << 20]).await.unwrap();
        for reader in vispyr.reader_pids() {
            crate::harness::signal(reader, rustix::process::Signal::KILL);
        }
        let rest = rest(&mut reads).await;
        assert!(rest.len() < 90_000_000 && !rest.ends_with(LAST_CHUNK), "{} bytes", rest.len());
        vispyr.wait_count("SELECT 1", 1).await;
    }
}

/// `vispyr sql`, as a person calls it.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_tables_and_errors() {
    use std::process::Stdio;

    use crate::harness::{PROGRAM, Vispyr};

    let vispyr = Vispyr::serve().await;
    let run = |arguments: &'static [&'static str], stdin: &'static str| {
        let mut command = std::process::Command::new(PROGRAM);
        command.arg("sql").arg("--data-dir").arg(vispyr.data_dir()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) = run(&["SELECT 'a' AS name, 1 AS n UNION ALL SELECT NULL, 23 ORDER BY n"], "");
    assert_eq!((code, out.as_str()), (Some(0), "name   n\n────────\na      1\nNULL  23\n"), "{err}");
    assert!(err.starts_with("2 rows in "), "{err}");
    let (code, out, _) = run(&["--format", "csv"], "SELECT 1 AS a, 'x,y' AS b;\n");
    assert_eq!((code, out.as_str()), (Some(0), "a,b\r\n1,\"x,y\"\r\n"));
    let (code, out, _) = run(&["--format", "json", "--file", "-"], "SHOW TABLES");
    assert!(code == Some(0) && out.contains("\"spans\""), "{out}");
    let (code, out, err) = run(&["SELECT nope FROM spans"], "");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("Binder Error") && err.contains("\n               ^"), "{err}");
    let (code, _, err) = run(&["SELECT 1,\n getenv('HOME')"], "");
    assert!(code == Some(1) && err.contains("LINE 2:  getenv('HOME')\n         ^"), "{err}");
}
