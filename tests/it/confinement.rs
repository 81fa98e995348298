//! The kernel's wall round the engine (landlock(7)): with no gate and no sandbox of DuckDB in the
//! way, statements still read and write the store's folder alone.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use duckdb::Connection;
use vispyr::store::process::confinement::{Confined, Folders, confine};

use super::store::rig::files;
use crate::harness::{Options, Vispyr};

const HOSTILE: &str = include_str!("fixtures/hostile.sql");
const FOLDER: &str = "VISPYR_TEST_CONFINED";
const SECRET: &str = "the secret outside";

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    files(dir).into_iter().map(|name| (name.clone(), std::fs::read(dir.join(&name)).unwrap())).collect()
}

/// Not a test: the confined process. Runs statements without any gate, and answers what they gave.
#[test]
fn confined_process() {
    let Ok(dir) = std::env::var(FOLDER).map(PathBuf::from) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (store, sockets) = (dir.join("store"), dir.join("run"));
    let sealed = dir.join("sealed");
    // Root alone may have it.
    let drop_caches = std::fs::OpenOptions::new().write(true).open("/proc/sys/vm/drop_caches");
    match confine(Folders { reads: &[&sealed], writes: &[&store], sockets: &[&sockets] }).unwrap() {
        Confined::Not => return println!("\n=no landlock"),
        how => println!("\n=confined {how:?}"),
    }
    // As memory gets scarce: /proc makes these files anew then, and no rule is of the new ones.
    if let Ok(mut drop_caches) = drop_caches {
        std::io::Write::write_all(&mut drop_caches, b"2\n").unwrap();
        for resource in ["/proc/meminfo", "/proc/self/cgroup", "/proc/sys/kernel/random/boot_id"] {
            assert!(!std::fs::read_to_string(resource).unwrap().is_empty());
        }
    }
    let denied = |what: &str, error: std::io::Error| {
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{what}: {error}");
    };
    denied("connect", TcpStream::connect(address).unwrap_err());
    denied("bind", TcpListener::bind("127.0.0.1:0").unwrap_err());
    denied("execute", Command::new("/bin/true").spawn().unwrap_err());
    denied("list", std::fs::read_dir("/").unwrap_err());
    denied("write", std::fs::write(sockets.join("file"), "x").unwrap_err());
    assert_eq!(std::fs::read_to_string(sealed.join("rows")).unwrap(), "rows");
    denied("overwrite", std::fs::write(sealed.join("rows"), "x").unwrap_err());
    denied("make", std::fs::write(sealed.join("more"), "x").unwrap_err());
    denied("remove", std::fs::remove_file(sealed.join("rows")).unwrap_err());
    denied(
        "signal",
        rustix::process::kill_process(rustix::process::getppid().unwrap(), rustix::process::Signal::URG)
            .unwrap_err()
            .into(),
    );
    std::os::unix::net::UnixListener::bind(sockets.join("socket")).unwrap();
    std::thread::spawn(move || denied("a later thread", std::fs::read_to_string("/etc/passwd").unwrap_err()))
        .join()
        .unwrap();

    let outside = dir.join("outside");
    let naked = || Connection::open_in_memory().unwrap();
    let db = naked();
    db.execute_batch(&format!("COPY (SELECT 1) TO '{}' (FORMAT parquet)", store.join("x.parquet").display())).unwrap();
    db.execute_batch(&format!("FROM '{}'", store.join("x.parquet").display())).unwrap();
    for (what, statement) in [
        ("text", format!("SELECT content FROM read_text('{}/secret.txt')", outside.display())),
        ("blob", format!("SELECT content FROM read_blob('{}/secret.txt')", outside.display())),
        ("csv", format!("FROM read_csv('{}/secret.txt')", outside.display())),
        ("copy", format!("COPY (SELECT 1) TO '{}/new.csv'", outside.display())),
        ("overwrite", format!("COPY (SELECT 1) TO '{}/secret.txt' (USE_TMP_FILE false)", outside.display())),
        ("attach", format!("ATTACH '{}/new.duckdb'", outside.display())),
        ("passwd", "SELECT content FROM read_text('/etc/passwd')".to_owned()),
        ("environment", "SELECT content FROM read_text('/proc/self/environ')".to_owned()),
        ("up", format!("SELECT content FROM read_text('{}/../outside/secret.txt')", store.display())),
    ] {
        db.execute_batch(&statement).expect_err(what);
    }
    // A list of what is there is a look outside, too.
    let listed =
        |glob: &str| db.query_row(&format!("SELECT count(*) FROM glob('{glob}')"), [], |row| row.get::<_, i64>(0));
    assert!(matches!(listed(&format!("{}/*", outside.display())), Err(_) | Ok(0)));
    let mut ran = 0;
    for statement in HOSTILE.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        // Those that read or write files; others end processes, which is not what is asked here.
        let of_files = ["read_", "COPY", "ATTACH", "glob", "EXPORT", "IMPORT", "INSTALL", "LOAD", "'/", "sniff"];
        if of_files.iter().any(|word| statement.contains(word)) {
            ran += 1;
            let db = naked();
            let _ = db.execute_batch(statement);
        }
    }
    println!("\n=ran {ran}");
}

#[test]
fn no_statement_gets_out_of_the_store_s_folder_without_gates_and_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    for folder in ["outside", "store", "run", "sealed"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    std::fs::write(dir.path().join("sealed/rows"), "rows").unwrap();
    std::fs::write(outside.join("secret.txt"), SECRET).unwrap();
    let before = contents(&outside);
    let written_to: Vec<PathBuf> = std::fs::read_dir("/tmp").unwrap().map(|entry| entry.unwrap().path()).collect();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "confinement::confined_process", "--nocapture", "--test-threads=1"])
        .env(FOLDER, dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    if said.contains("=no landlock") {
        return;
    }
    let ran: u32 = said.lines().find_map(|line| line.strip_prefix("=ran ")).unwrap().parse().unwrap();
    assert!(ran > 20, "{ran} statements");
    assert_eq!(contents(&outside), before);
    let new = std::fs::read_dir("/tmp").unwrap().map(|entry| entry.unwrap().path());
    let new: Vec<_> =
        new.filter(|path| !written_to.contains(path) && path.to_string_lossy().contains("vispyr-")).collect();
    assert!(new.is_empty(), "{new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_is_confined_in_all_its_threads() {
    let vispyr = Vispyr::start(Options::config("[sql]\ngates = false\n")).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 0).await;
    let pid = vispyr.engine_pid().unwrap();
    let mut threads = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        threads += 1;
    }
    assert!(threads > 5, "{threads}");
    let engine = crate::harness::get(&vispyr.url("sql", "/stats")).await.unwrap().json();
    assert!(engine["process"]["resident_bytes"].as_u64() > Some(1 << 20), "{engine}");
    assert!(engine["process"]["open_fds"].as_u64() > Some(3), "{engine}");
    assert!(!vispyr.log().contains("has no Landlock"), "{}", vispyr.log());
    let secret = vispyr.data_dir().parent().unwrap().join("secret.txt");
    std::fs::write(&secret, SECRET).unwrap();
    for statement in [
        format!("SELECT content FROM read_text('{}')", secret.display()),
        format!("COPY (SELECT 1) TO '{}'", secret.display()),
        "SELECT content FROM read_text('/proc/self/environ')".to_owned(),
    ] {
        let answer = vispyr.ask(&statement, "application/json").await;
        assert!(answer.status != 200 && !answer.text().contains(SECRET), "{statement}: {}", answer.text());
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), SECRET);
}
