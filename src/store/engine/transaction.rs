//! Transactions of the engine's own threads.
//!
//! A `COMMIT` that fails (for lack of memory, mostly) leaves open what the instance holds: rows
//! were seen lost and doubled after one. So no thread goes on after a failed `BEGIN`, `COMMIT` or
//! `ROLLBACK`: the process ends, and the log brings everything again that is not sealed.

use duckdb::Connection;

use super::failpoint;

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The work in it failed, and nothing of it is left.
    #[error("{0}")]
    Work(#[from] duckdb::Error),
    /// The transaction itself failed: what the instance holds is not known.
    #[error("{step} failed: {error}")]
    Broken {
        /// `BEGIN`, `COMMIT` or `ROLLBACK`.
        step: &'static str,
        /// DuckDB's answer.
        error: duckdb::Error,
    },
}

/// Does `work` in a transaction of its own.
///
/// # Errors
/// [`TransactionError::Work`] if the work failed and was rolled back. After
/// [`TransactionError::Broken`] the process must end.
pub fn run<T>(db: &Connection, work: impl FnOnce() -> duckdb::Result<T>) -> Result<T, TransactionError> {
    let step = |step: &'static str| db.execute_batch(step).map_err(|error| TransactionError::Broken { step, error });
    step("BEGIN")?;
    match work() {
        Ok(done) => {
            failpoint::end_transaction(db);
            step("COMMIT")?;
            Ok(done)
        }
        Err(error) => {
            step("ROLLBACK")?;
            Err(TransactionError::Work(error))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn broken(result: Result<(), TransactionError>) -> &'static str {
        match result {
            Err(TransactionError::Broken { step, .. }) => step,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_fails_in_it_is_rolled_back() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        run(&db, || db.execute_batch("INSERT INTO t VALUES (1)")).unwrap();
        let failed = run(&db, || db.execute_batch("INSERT INTO t VALUES (2); INSERT INTO t VALUES ('x')"));
        assert!(matches!(failed, Err(TransactionError::Work(_))), "{failed:?}");
        let sum: i64 = db.query_row("SELECT sum(n)::BIGINT FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 1);
    }

    #[test]
    fn a_failed_commit_begin_or_rollback_is_told_from_failed_work() {
        let db = Connection::open_in_memory().unwrap();
        let other = db.try_clone().unwrap();
        db.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").unwrap();
        // Two transactions insert one key: DuckDB finds out when the second one commits.
        let both = run(&db, || {
            other.execute_batch("INSERT INTO t VALUES (1)")?;
            db.execute_batch("INSERT INTO t VALUES (2)")
        });
        both.unwrap();
        let late = run(&db, || {
            db.execute_batch("INSERT INTO t VALUES (3)")?;
            other.execute_batch("INSERT INTO t VALUES (3)")
        });
        assert_eq!(broken(late), "COMMIT");
        let gone = run(&db, || {
            db.execute_batch("ROLLBACK")?;
            db.execute_batch("no sql")
        });
        assert_eq!(broken(gone), "ROLLBACK");
        db.execute_batch("BEGIN").unwrap();
        assert_eq!(broken(run(&db, || Ok(()))), "BEGIN");
    }
}
