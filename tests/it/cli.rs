//! The command line: what it says when something is wrong, and its help.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Options, PROGRAM, Vispyr};

fn vispyr(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Port 0 everywhere, so that only what the test is about can be wrong.
fn anywhere(folder: &Path) -> String {
    let ports = ["receivers.otlp_grpc", "receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope"];
    let mut text = String::new();
    for section in ports.iter().chain(&["web", "sql", "postgres"]) {
        text.push_str(&format!("[{section}]\nlisten = \"127.0.0.1:0\"\n"));
    }
    let file = folder.join("vispyr.toml");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn check_reports_ten_mistakes_at_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/testdata");
    let file = folder.join("ten_mistakes.bad.toml");
    let output = vispyr(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let expected = fs::read_to_string(folder.join("ten_mistakes.bad.txt")).unwrap();
    let expected = expected.replace("ten_mistakes.bad.toml", file.to_str().unwrap());
    assert_eq!(stderr(&output), format!("{expected}10 mistakes\n"));
    assert_eq!(stdout(&output), "");
}

#[test]
fn check_says_that_the_documented_file_is_good() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/vispyr.toml");
    let output = vispyr(&["check", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("{}: good\n", file.display()));
}

#[test]
fn a_server_with_a_bad_config_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    fs::write(&file, "[wal]\nmax_sise = \"1GiB\"\nsegment_size = \"\"\n").unwrap();
    let data = folder.path().join("data");
    for command in ["serve", "collector", "store", "engine"] {
        let output = vispyr(&[command, "--config", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let expected = format!(
            "vispyr: the config has 2 mistakes:\n{0}:2: wal.max_sise: unknown key, did you mean \"max_size\"?\n\
             {0}:3: wal.segment_size: \"\" is not possible here, expected a size such as \"64MiB\"\n",
            file.display()
        );
        assert_eq!(stderr(&output), expected);
    }
    assert!(!data.exists(), "nothing was touched");
}

#[test]
fn every_taken_port_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = anywhere(folder.path());
    let taken = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let [grpc, sql] = taken.each_ref().map(|listener| listener.local_addr().unwrap());
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "[receivers.otlp_grpc]\nlisten = \"127.0.0.1:0\"",
        &format!("[receivers.otlp_grpc]\nlisten = \"{grpc}\""),
    );
    let text = text.replace("[sql]\nlisten = \"127.0.0.1:0\"", &format!("[sql]\nlisten = \"{sql}\""));
    fs::write(&file, text).unwrap();
    let data = folder.path().join("data");
    let output = vispyr(&["serve", "--config", &file, "--data-dir", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let line = |port: u16, key: &str| {
        format!("port {port} on 127.0.0.1 is taken by another program; {key} in the config moves it\n")
    };
    let (first, second) = (line(grpc.port(), "receivers.otlp_grpc.listen"), line(sql.port(), "sql.listen"));
    assert_eq!(stderr(&output), format!("vispyr: {first}{second}"));
    assert!(!data.join("run/addresses.json").exists());
    assert!(!data.join("wal/traces").exists(), "nothing was started");
}

#[tokio::test]
async fn a_data_directory_has_one_instance() {
    let running = Vispyr::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (anywhere(folder.path()), running.data_dir());
    let output = vispyr(&["serve", "--config", &file, "--data-dir", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "vispyr: the data directory {} is in use by another vispyr (process {}); \
         stop it, or choose another with --data-dir or data_dir\n",
        data.display(),
        running.pid()
    );
    assert_eq!(stderr(&output), expected);
}

#[test]
fn data_from_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (anywhere(folder.path()), folder.path().join("data"));
    fs::create_dir_all(data.join("wal")).unwrap();
    fs::write(data.join("wal/VERSION"), "2\n").unwrap();
    let output = vispyr(&["serve", "--config", &file, "--data-dir", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "vispyr: {}/wal/VERSION says 2, this vispyr knows versions up to 1: the data is from a newer version; \
         start that one, or choose another directory with --data-dir or data_dir\n",
        data.display()
    );
    assert_eq!(stderr(&output), expected);
    assert_eq!(fs::read_to_string(data.join("wal/VERSION")).unwrap(), "2\n");
}

#[test]
fn a_read_only_data_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = anywhere(folder.path());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for path in [folder.path(), &data] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    // Permissions are nothing to root, so the program runs as nobody then, from where nobody may read.
    let program = folder.path().join("vispyr");
    let mut command = if rustix::process::geteuid().is_root() {
        fs::copy(PROGRAM, &program).unwrap();
        chown(&data, Some(0), Some(0)).unwrap();
        let mut command = Command::new(&program);
        command.uid(65534).gid(65534);
        // The library that it was linked with may be in root's own home.
        let readable = libraries_copied(folder.path());
        command.env("LD_LIBRARY_PATH", readable);
        command
    } else {
        Command::new(PROGRAM)
    };
    let output = command.args(["serve", "--config", &file, "--data-dir", data.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let expected = format!(
        "vispyr: cannot write to the data directory {}: Permission denied (os error 13); \
         change its owner, or choose another with --data-dir or data_dir\n",
        data.display()
    );
    assert_eq!(stderr(&output), expected);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Copies what lies beside DuckDB's library, if it is not a system library, to where all may read.
fn libraries_copied(to: &Path) -> &Path {
    if let Some(from) = std::env::var_os("DUCKDB_LIB_DIR") {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    to
}

#[test]
fn help_names_every_command_but_the_hidden_one() {
    let help = stdout(&vispyr(&["--help"]));
    for command in ["serve", "collector", "store", "sql", "status", "check", "demo"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        let output = vispyr(&[command, "--help"]);
        assert!(output.status.success());
        assert!(stdout(&output).contains("Usage: vispyr"), "{}", stdout(&output));
    }
    assert!(!help.contains("engine"), "{help}");
    assert_eq!(stdout(&vispyr(&["--version"])), format!("vispyr {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn status_shows_a_running_collector() {
    let vispyr_ = Vispyr::serve().await;
    let data = vispyr_.data_dir();
    let ask = |args: &[&str]| vispyr(&[&["status", "--data-dir", data.to_str().unwrap()], args].concat());
    let screen = stdout(&ask(&[]));
    assert!(screen.starts_with(&format!("Vispyr {}, up ", env!("CARGO_PKG_VERSION"))), "{screen}");
    for expected in ["traces", "metrics", "logs", "profiles", "store: DuckDB v2."] {
        assert!(screen.contains(expected), "{expected}: {screen}");
    }
    assert!(screen.lines().count() <= 25, "one screen: {screen}");
    let json: serde_json::Value = serde_json::from_str(&stdout(&ask(&["--json"]))).unwrap();
    assert_eq!(json["waiting_for"], serde_json::json!([]));
    assert_eq!(json["addresses"]["web"], vispyr_.address("web").to_string());
}

#[test]
fn status_without_a_collector_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = vispyr(&["status", "--data-dir", folder.path().to_str().unwrap(), "--address", &free]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with(&format!("vispyr: no collector answers on {free} (")), "{}", stderr(&output));
    assert!(stderr(&output).ends_with("`vispyr serve` starts one\n"), "{}", stderr(&output));
}

#[tokio::test]
async fn the_log_is_json_when_asked() {
    let args = ["--log-format", "json", "--log-level", "debug"].map(str::to_owned).to_vec();
    let mut vispyr = Vispyr::start(Options { args, ..Options::default() }).await;
    vispyr.stop().await;
    let log = vispyr.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with('{')).collect();
    assert!(lines.len() > 3, "{log}");
    for line in lines {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(entry["level"].is_string() && entry["message"].is_string(), "{line}");
    }
}

#[test]
fn a_store_from_a_newer_version_and_a_socket_path_too_long_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (anywhere(folder.path()), folder.path().join("data"));
    fs::create_dir_all(data.join("store")).unwrap();
    fs::write(data.join("store/VERSION"), "2\n").unwrap();
    for command in ["serve", "store"] {
        let output = vispyr(&[command, "--config", &file, "--data-dir", data.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let expected = format!(
            "vispyr: the store cannot start: the store in {}/store has version 2, \
             this vispyr knows up to 1: use the newer vispyr\n",
            data.display()
        );
        assert_eq!(stderr(&output), expected);
    }
    let long = folder.path().join("d".repeat(100));
    let output = vispyr(&["serve", "--config", &file, "--data-dir", long.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("set store.socket_dir to a folder with a shorter path"), "{}", stderr(&output));
}
