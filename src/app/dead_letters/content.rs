//! What is in a dead letter, for people: OTLP in its own JSON, remote write with its labels in words.
//! Profiles of Pyroscope are binary through and through and are only to be had raw.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use serde_json::{Value, json};

use crate::codec::inflate::{Limits, inflate};
use crate::signal::{Batch, Format, Signal};
use crate::wire::prompb::{v1, v2};
use crate::wire::size_of_strings;

/// Largest content that is decoded for showing: a page with more is of no use.
const MAX_DECODED: u64 = 16 << 20;

/// The content as JSON, or why it is not shown.
pub fn decode(batch: &Batch) -> Result<Value, String> {
    if batch.decoded_size > MAX_DECODED {
        return Err(format!("{} bytes are too many to show; take it raw", batch.decoded_size));
    }
    let payload = inflate(&batch.payload, batch.compression, Limits::size(MAX_DECODED), batch.decoded_size)
        .map_err(|error| error.to_string())?;
    match (batch.format, batch.signal) {
        (Format::Otlp, Signal::Traces) => otlp::<ExportTraceServiceRequest>(&payload),
        (Format::Otlp, Signal::Metrics) => otlp::<ExportMetricsServiceRequest>(&payload),
        (Format::Otlp, Signal::Logs) => otlp::<ExportLogsServiceRequest>(&payload),
        (Format::Otlp, Signal::Profiles) => otlp::<ExportProfilesServiceRequest>(&payload),
        (Format::RemoteWriteV1, _) => v1::WriteRequest::decode(&payload[..]).map(series_v1).map_err(|e| e.to_string()),
        (Format::RemoteWriteV2, _) => {
            let request = v2::Request::decode(&payload[..]).map_err(|error| error.to_string())?;
            match size_of_strings(&request) {
                size if size > MAX_DECODED => Err(format!("{size} bytes of labels are too many to show; take it raw")),
                _ => Ok(series_v2(request)),
            }
        }
        (Format::StoreRow, _) => serde_json::from_slice(&payload).map_err(|error| error.to_string()),
        (Format::PyroscopeIngest | Format::PyroscopePush, _) => {
            Err("a profile of Pyroscope is not shown; take it raw".to_owned())
        }
    }
}

fn otlp<M: Message + Default + Serialize>(payload: &[u8]) -> Result<Value, String> {
    let message = M::decode(payload).map_err(|error| error.to_string())?;
    serde_json::to_value(message).map_err(|error| error.to_string())
}

fn series_v1(request: v1::WriteRequest) -> Value {
    let labels = |labels: &[v1::Label]| -> BTreeMap<String, String> {
        labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
    };
    let series = request.timeseries.iter().map(|series| {
        json!({
            "labels": labels(&series.labels),
            "samples": series.samples.iter().map(|s| sample(s.timestamp, s.value)).collect::<Vec<_>>(),
            "histograms": series.histograms.iter().map(|h| sample(h.timestamp, h.sum)).collect::<Vec<_>>(),
            "exemplars": series.exemplars.len(),
        })
    });
    let metadata = request.metadata.iter().map(|family| {
        json!({ "name": family.metric_family_name, "type": family.r#type, "help": family.help, "unit": family.unit })
    });
    json!({ "series": series.collect::<Vec<_>>(), "metadata": metadata.collect::<Vec<_>>() })
}

fn series_v2(request: v2::Request) -> Value {
    // A reference that leads nowhere is shown as such: it may be why the dead letter is here.
    let symbol = |at: u32| request.symbols.get(at as usize).cloned().unwrap_or_else(|| format!("<no symbol {at}>"));
    let labels = |refs: &[u32]| -> BTreeMap<String, String> {
        refs.chunks(2).map(|pair| (symbol(pair[0]), pair.get(1).map_or_else(String::new, |at| symbol(*at)))).collect()
    };
    let series = request.timeseries.iter().map(|series| {
        json!({
            "labels": labels(&series.labels_refs),
            "samples": series.samples.iter().map(|s| sample(s.timestamp, s.value)).collect::<Vec<_>>(),
            "histograms": series.histograms.iter().map(|h| sample(h.timestamp, h.sum)).collect::<Vec<_>>(),
            "exemplars": series.exemplars.len(),
            "metadata": series.metadata.map(|m| json!({
                "type": m.r#type, "help": symbol(m.help_ref), "unit": symbol(m.unit_ref),
            })),
        })
    });
    json!({ "series": series.collect::<Vec<_>>() })
}

/// Time and value as Prometheus' own API gives them: JSON has no NaN.
fn sample(milliseconds: i64, value: f64) -> Value {
    json!([milliseconds as f64 / 1e3, value.to_string()])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;
    use crate::signal::{Compression, Meta};

    fn batch(signal: Signal, format: Format, message: &impl Message) -> Batch {
        let plain = message.encode_to_vec();
        Batch {
            signal,
            format,
            compression: Compression::SnappyBlock,
            items: 1,
            decoded_size: plain.len() as u64,
            received: 0,
            meta: Meta::default(),
            payload: Bytes::from(snap::raw::Encoder::new().compress_vec(&plain).unwrap()),
        }
    }

    #[test]
    fn spans_are_shown_with_their_ids() {
        let span = Span { trace_id: vec![0; 16], span_id: vec![0xab; 8], name: "GET /".to_owned(), ..Span::default() };
        let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
        let shown = decode(&batch(Signal::Traces, Format::Otlp, &request)).unwrap();
        let span = &shown["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!((&span["name"], &span["spanId"]), (&json!("GET /"), &json!("abababababababab")), "{shown}");
    }

    #[test]
    fn series_are_shown_with_their_labels() {
        let label = v1::Label { name: "__name__".to_owned(), value: "up".to_owned() };
        let sample = v1::Sample { value: f64::NAN, timestamp: 1500 };
        let one = v1::TimeSeries { labels: vec![label], samples: vec![sample], ..Default::default() };
        let request = v1::WriteRequest { timeseries: vec![one], metadata: vec![] };
        let shown = decode(&batch(Signal::Metrics, Format::RemoteWriteV1, &request)).unwrap();
        let expected =
            json!({"labels": {"__name__": "up"}, "samples": [[1.5, "NaN"]], "histograms": [], "exemplars": 0});
        assert_eq!(shown["series"][0], expected);
        let sample = v2::Sample { value: 2.0, timestamp: 0, start_timestamp: 0 };
        let series =
            |refs: &[u32]| v2::TimeSeries { labels_refs: refs.to_vec(), samples: vec![sample], ..Default::default() };
        let symbols = ["", "__name__", "up"].map(str::to_owned).to_vec();
        let request = v2::Request { symbols, timeseries: vec![series(&[1, 2]), series(&[1, 9, 2])] };
        let shown = decode(&batch(Signal::Metrics, Format::RemoteWriteV2, &request)).unwrap();
        assert_eq!(shown["series"][0]["labels"], json!({"__name__": "up"}));
        assert_eq!(shown["series"][1]["labels"], json!({"__name__": "<no symbol 9>", "up": ""}));
    }

    #[test]
    fn what_cannot_be_shown_says_why() {
        let mut bad = batch(Signal::Traces, Format::Otlp, &ExportTraceServiceRequest::default());
        bad.compression = Compression::Gzip;
        assert!(decode(&bad).is_err());
        bad.decoded_size = MAX_DECODED + 1;
        assert!(decode(&bad).unwrap_err().contains("raw"));
        // Small, but not with the long symbol in each of its series.
        let series = v2::TimeSeries { labels_refs: vec![1, 2], ..Default::default() };
        let symbols = vec![String::new(), "__name__".to_owned(), "x".repeat(1 << 20)];
        let request = v2::Request { symbols, timeseries: vec![series; 20] };
        let labels = decode(&batch(Signal::Metrics, Format::RemoteWriteV2, &request)).unwrap_err();
        assert!(labels.contains("20971680 bytes of labels"), "{labels}");
        let profile = batch(Signal::Profiles, Format::PyroscopeIngest, &ExportTraceServiceRequest::default());
        assert!(decode(&profile).unwrap_err().contains("raw"));
    }
}
