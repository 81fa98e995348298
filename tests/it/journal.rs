//! Our own log in the journal: with its fields, one entry an event. The journal's socket has a
//! fixed path, so the program runs with a `/run` of its own, in which the test is the journal.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::harness::{DEADLINE, Options, Vispyr};

#[tokio::test]
async fn entries_have_their_fields() {
    let able = Command::new("unshare").args(["-rm", "true"]).output();
    if !able.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: cannot make a mount namespace: {able:?}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(folder.path().join("socket")).unwrap();
    journal.set_read_timeout(Some(DEADLINE)).unwrap();
    // As systemd does it: the variable names the device and inode of stderr.
    let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && \
        mount --bind \"$1\" /run/systemd/journal && shift && \
        export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) && exec \"$@\"";
    let wrap = ["unshare", "-rm", "bash", "-c", script, "bash", folder.path().to_str().unwrap()];
    let options = Options {
        command: "collector",
        config: "[store]\nenabled = false\n".to_owned(),
        wrap: wrap.map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let vispyr = Vispyr::start(options).await;
    crate::harness::signal(vispyr.pid(), rustix::process::Signal::HUP);
    let entry = |message: &str| {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = journal.recv(&mut buffer).unwrap_or_else(|e| panic!("{message:?} is not in the journal: {e}"));
            let fields = fields(&buffer[..n]);
            if fields.get("MESSAGE").is_some_and(|text| text.starts_with(message)) {
                return fields;
            }
        }
    };
    let entry = entry("config, certificates and credentials were read again");
    for (name, value) in [("PRIORITY", "5"), ("SYSLOG_IDENTIFIER", "vispyr"), ("TARGET", "vispyr::app::reload")] {
        assert_eq!(entry.get(name).map(String::as_str), Some(value), "{entry:?}");
    }
    assert!(entry.contains_key("F_DESTINATIONS_ADDED"), "the event's own fields: {entry:?}");
    assert!(entry["MESSAGE"].contains(" destinations_added="), "journalctl shows the message alone: {entry:?}");
    assert!(!vispyr.log().contains("were read again"), "not on stderr, too: {}", vispyr.log());
}

/// The journal's native protocol: `NAME=value` and a newline; or the name, a newline, the length
/// in 8 bytes, the value and a newline.
fn fields(mut entry: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = BTreeMap::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        let (name, value);
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            (name, value, entry) = (text(&line[..equals]), text(&line[equals + 1..]), rest);
        } else {
            let (length, rest) = rest.split_at(8);
            let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            (name, value, entry) = (text(line), text(&rest[..length]), &rest[length + 1..]);
        }
        fields.insert(name, value);
    }
    fields
}
