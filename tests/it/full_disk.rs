//! The whole program is started on a disk without room, waits for room, and takes what comes then.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Answer, DEADLINE, PROGRAM, get, post};
use crate::receivers::rig::payload;

/// A small file system.
pub struct Small(pub PathBuf);

impl Small {
    /// Of 64 MiB. `None` where nothing can be mounted.
    fn mount(at: &Path) -> Option<Self> {
        Self::mount_of(at, 64)
    }

    /// Of so many MiB.
    pub fn mount_of(at: &Path, size: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}m"), "none"]).arg(at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Small(at.to_owned()))
    }

    /// Takes all of its room.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        crate::harness::signal(self.0.id(), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Ports that were free a moment ago: what cannot be written down has to be known.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The folder is empty yet, and there is not one byte for what a first start writes.
#[test]
fn a_first_start_on_a_full_disk_says_that_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount(&folder.path().join("disk")) else {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    };
    let filler = disk.fill();
    let data_dir = disk.0.join("data");
    let config = folder.path().join("vispyr.toml");
    fs::write(&config, "[receivers.otlp_grpc]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    for command in ["serve", "collector"] {
        let mut program = Command::new(PROGRAM);
        program.arg(command).arg("--config").arg(&config).arg("--data-dir").arg(&data_dir);
        let output = program.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{command}: {said}");
        let folder = format!("cannot write to the data directory {}: ", data_dir.display());
        assert!(said.contains(&folder) && said.contains("its disk is full: make room on it"), "{command}: {said}");
        assert!(!said.contains("owner"), "{command}: {said}");
    }
    fs::remove_file(filler).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_disk_answers_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount(&folder.path().join("disk")) else {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    };
    let [grpc, http, write, pyroscope, web, sql] = free_ports();
    let mut config = String::new();
    for (section, port) in [
        ("receivers.otlp_grpc", grpc),
        ("receivers.otlp_http", http),
        ("receivers.remote_write", write),
        ("receivers.pyroscope", pyroscope),
        ("web", web),
        ("sql", sql),
    ] {
        config += &format!("[{section}]\nlisten = \"127.0.0.1:{port}\"\n");
    }
    let (file, log) = (folder.path().join("vispyr.toml"), folder.path().join("log"));
    fs::write(&file, config).unwrap();
    let spawn = || {
        let output = fs::File::create(&log).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(&file).arg("--data-dir").arg(disk.0.join("data"));
        Running(command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap())
    };
    let body = payload::three(vispyr::signal::Signal::Traces);
    let url = format!("http://127.0.0.1:{http}/v1/traces");
    let send = async |running: &mut Running| -> Option<Answer> {
        if let Some(status) = running.0.try_wait().unwrap() {
            panic!("it ended with {status}:\n{}", fs::read_to_string(&log).unwrap());
        }
        post(&url, "application/x-protobuf", body.clone()).await.ok()
    };
    let ok = |answer: &Answer| answer.status == 200;
    let mut running = spawn();
    until("it takes data", async || send(&mut running).await.filter(ok)).await;
    drop(running);

    let filler = disk.fill();
    let mut running = spawn();
    // There is room for it where the store gives back what it had reserved.
    let answer = until("it answers", async || send(&mut running).await).await;
    assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
    let taken = 3 + 3 * usize::from(ok(&answer));
    assert!(get(&format!("http://127.0.0.1:{web}/-/healthy")).await.is_ok_and(|answer| answer.status == 200));
    let ask = format!("http://127.0.0.1:{sql}/api/v1/sql");
    let rows = async |count: usize| {
        let answer = post(&ask, "text/plain", "SELECT count(*)::VARCHAR FROM spans").await.ok()?;
        (answer.status == 200 && answer.json()["rows"][0][0].as_str()? == count.to_string()).then_some(())
    };
    until("what was taken before is there", async || rows(taken).await).await;

    fs::remove_file(filler).unwrap();
    until("it takes data again", async || send(&mut running).await.filter(ok)).await;
    until("the rows are there", async || rows(taken + 3).await).await;
}
