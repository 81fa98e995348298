//! Stands in for parts of the walk that are not there yet: decodes and counts.

use prost::Message as _;

use crate::wire::{pprof_proto, prompb, pushpb};

#[derive(Default)]
pub(super) struct Counts {
    pub(super) items: u64,
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

pub(super) fn check_remote_write_v1(payload: &[u8]) -> Result<Counts, prost::DecodeError> {
    let request = prompb::v1::WriteRequest::decode(payload)?;
    let sum = |f: fn(&prompb::v1::TimeSeries) -> usize| request.timeseries.iter().map(f).sum::<usize>() as u64;
    Ok(Counts {
        items: 0,
        samples: sum(|s| s.samples.len()),
        histograms: sum(|s| s.histograms.len()),
        exemplars: sum(|s| s.exemplars.len()),
    })
}

pub(super) fn check_remote_write_v2(payload: &[u8]) -> Result<Counts, prost::DecodeError> {
    let request = prompb::v2::Request::decode(payload)?;
    let sum = |f: fn(&prompb::v2::TimeSeries) -> usize| request.timeseries.iter().map(f).sum::<usize>() as u64;
    Ok(Counts {
        items: 0,
        samples: sum(|s| s.samples.len()),
        histograms: sum(|s| s.histograms.len()),
        exemplars: sum(|s| s.exemplars.len()),
    })
}

pub(super) fn check_push_request(payload: &[u8]) -> Result<Counts, prost::DecodeError> {
    let request = pushpb::PushRequest::decode(payload)?;
    Ok(Counts { items: request.series.iter().map(|s| s.samples.len()).sum::<usize>() as u64, ..Counts::default() })
}

pub(super) fn check_pprof(payload: &[u8]) -> Result<(), prost::DecodeError> {
    pprof_proto::Profile::decode(payload).map(drop)
}
