//! Frames of a profile whose lines name no function.

use prost::Message as _;

use crate::harness::{Vispyr, post};
use crate::receivers::rig::payload;

/// Function id 0 means none: the frame is its address, and the sample is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_with_function_id_0_is_a_frame_without_symbols() {
    let vispyr = Vispyr::serve().await;
    let mut profile = payload::pprof();
    profile.location[0].address = 0x1234;
    profile.location[0].line[0].function_id = 0;
    profile.function.clear();
    let url = vispyr.url("pyroscope", "/ingest?name=app&format=pprof");
    let answer = post(&url, "application/octet-stream", profile.encode_to_vec()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    vispyr.wait_count("SELECT sum(value)::BIGINT FROM profile_samples", 10).await;
    let frames = vispyr.sql("SELECT function FROM frames").await;
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert!(frames[0][0].as_str().unwrap().contains("1234"), "{frames:?}");
}
