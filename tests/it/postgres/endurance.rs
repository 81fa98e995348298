//! Connections that stay for as long as the server runs, with statements of every kind.

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use tokio_postgres::Client;

use super::{connect, resident, simple};
use crate::harness::Vispyr;

const CONNECTIONS: usize = 20;
const ROUNDS: usize = 10;

/// What each connection does in a round: text, parameters, a statement of its own that it leaves behind with the
/// same name, a cursor that it does not close, rows copied out, a mistake.
async fn round(client: &Client, number: usize) {
    assert_eq!(simple(client, "SELECT count(*) FROM spans").await.len(), 1);
    let row = client.query_one("SELECT $1::BIGINT + 1", &[&(number as i64)]).await.expect("a row");
    assert_eq!(row.get::<_, i64>(0), number as i64 + 1);
    let _ = client.simple_query("DEALLOCATE mine").await;
    simple(client, "PREPARE mine AS SELECT n FROM range(9) AS r(n) WHERE n = $1").await;
    assert_eq!(simple(client, "EXECUTE mine(3)").await.len(), 1);
    simple(client, "BEGIN; DECLARE c CURSOR FOR SELECT n FROM range(500) AS r(n); FETCH 5 FROM c; COMMIT").await;
    let copied =
        client.copy_out("COPY (SELECT n FROM range(500) AS r(n)) TO STDOUT (FORMAT binary)").await.expect("a copy");
    assert!(copied.try_collect::<Vec<_>>().await.expect("rows").len() > 500);
    assert!(client.simple_query("SELECT nope").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_stay_do_not_grow() {
    let vispyr = Vispyr::serve().await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(&vispyr).await);
    }
    let mut sizes = Vec::new();
    for number in 0..ROUNDS {
        join_all(clients.iter().map(|client| round(client, number))).await;
        sizes.push(resident(&vispyr));
    }
    // What the first rounds take stays; over 1,000 statements later it is what it was.
    let growth = sizes[ROUNDS - 1].saturating_sub(sizes[2]);
    assert!(growth < 8 << 20, "{CONNECTIONS} connections: {sizes:?}");
}
