//! A folder or file that is removed while the log runs.

use super::*;

#[test]
fn nothing_is_acknowledged_without_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, elsewhere) = (dir.path().join("log"), dir.path().join("elsewhere"));
    block_on(async {
        let log = open(dir.path(), &small(), &["a", "b"]);
        append(&log, [batch(100, 0)]).await;
        assert_eq!((log.check(), log.failing()), (Ok(()), None));
        std::fs::rename(&folder, &elsewhere).unwrap();
        let error = log.append(batch(100, 99)).await.unwrap_err().to_string();
        assert!(error.contains("the folder of the log is gone"), "{error}");
        assert!(log.failing().is_some_and(|why| why.contains("the folder of the log is gone")));
        assert!(log.check().is_err());
        // Another one in its place is not ours, and is left alone.
        std::fs::create_dir(&folder).unwrap();
        assert!(log.append(batch(70_000, 99)).await.is_err());
        log.reader("a").unwrap().commit(Position(1));
        assert!(log.check().is_err_and(|why| why.contains("another folder")));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(&folder).unwrap();
        std::fs::rename(&elsewhere, &folder).unwrap();
        assert_eq!(log.check(), Ok(()));
        assert_eq!(append(&log, [batch(100, 1)]).await, [Position(1)]);
        drop(log);
        let log = open(dir.path(), &small(), &["b"]);
        let mut reader = log.reader("b").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        assert_eq!(read.iter().map(|r| r.batch.clone()).collect::<Vec<_>>(), [batch(100, 0), batch(100, 1)]);
    });
}

#[test]
fn a_removed_folder_is_noticed_without_an_append() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small(), &["a"]);
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert!(log.check().is_err());
    assert!(log.failing().is_some());
    assert!(block_on(log.append(batch(100, 1))).is_err());
}

#[test]
fn a_full_disk_is_well_again_without_an_append() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small(), &["a"]);
    log.handle.shared.faults.writes.store(1, Ordering::SeqCst);
    assert!(block_on(log.append(batch(100, 1))).is_err());
    assert!(log.failing().is_some());
    assert_eq!((log.check(), log.failing()), (Ok(()), None));
}

#[test]
fn the_file_being_written_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        append(&log, [batch(3000, 0), batch(3000, 1)]).await;
        let path = segment::path(&dir.path().join("log"), 0);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(append(&log, [batch(3000, 2)]).await, [Position(2)]);
        // Somebody else's file of that name is not ours to write over.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"theirs").unwrap();
        assert_eq!(append(&log, [batch(3000, 3)]).await, [Position(3)]);
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        std::fs::remove_file(&path).unwrap();
        drop(log);
        assert_eq!(segments(dir.path()), [3]);
    });
}

#[test]
fn only_our_own_leftovers_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), &small(), &["a"]));
    let folder = dir.path().join("log");
    let index = "00000000000000000042.idx";
    let ours = ["cursors.123.tmp", "id.4.tmp", "probe.tmp", index, "00000000000000000000.idx.5.tmp"];
    let theirs = ["notes.idx", "42.idx", "00000000000000000000.log.tmp", "cursors.old.tmp", "copy.tmp"];
    for name in ours.iter().chain(&theirs) {
        std::fs::write(folder.join(name), "x").unwrap();
    }
    std::fs::create_dir(folder.join("folder.tmp")).unwrap();
    drop(open(dir.path(), &small(), &["a"]));
    for name in ours {
        assert!(!folder.join(name).exists(), "{name}");
    }
    for name in theirs {
        assert!(folder.join(name).exists(), "{name}");
    }
    assert!(folder.join("folder.tmp").exists());
}
