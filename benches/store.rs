//! What a span and a point cost on their way from the log into a sealed file, in CPU time of this
//! process: decoding, writing files of level 0, merging them into sorted ones; and bytes on disk.
//!
//! `cargo bench --bench store [spans|points|samples]`. Figures are CPU time; the steps of one run
//! compare with each other.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::time::Duration;

use bytes::Bytes;
use duckdb::Connection;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;
use vispyr::signal::{Batch, Compression, Format, Meta, Signal};
use vispyr::store::engine::level0::Level0;
use vispyr::store::engine::sealed_file::Flush;
use vispyr::store::ingest::{Decoder, Limits};
use vispyr::store::merge::{self, Job};
use vispyr::store::schema::Table;
use vispyr::wal::{Position, Record};
use vispyr::wire::prompb::v1;

const START: u64 = 1_767_225_600_000_000_000;

fn main() {
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let runs = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if runs("spans") {
        report("span", 150_000.0, 40.0, &spans(200_000));
    }
    if runs("points") {
        report("point", 400_000.0, 2.0, &points(200_000));
    }
    if runs("samples") {
        report("sample", 400_000.0, 2.0, &samples(400_000));
    }
}

/// CPU time of this process, all threads.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Takes the records through all steps and prints what each costs for one item.
fn report(item: &str, goal_rate: f64, goal_bytes: f64, records: &[Record]) {
    let db = Connection::open_in_memory().unwrap();
    Decoder::register(&db).unwrap();
    db.execute_batch("SET threads = 1; SET preserve_insertion_order = false").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let level0 = Level0::new(db, dir.path().to_owned());
    let items: u64 = records.iter().map(|record| u64::from(record.batch.items)).sum();
    let payload: usize = records.iter().map(|record| record.batch.payload.len()).sum();
    let flush = || Flush { id: Uuid::new_v4(), created: START, logs: Vec::new() };

    let mut decoder = Decoder::new(Limits::default());
    let (mut decoding, mut writing) = (Duration::ZERO, Duration::ZERO);
    let mut files = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let start = cpu();
        decoder.push(record).unwrap();
        decoding += cpu() - start;
        if decoder.pending_rows() < 20_000 && i + 1 < records.len() {
            continue;
        }
        let start = cpu();
        let chunks = decoder.take();
        decoding += cpu() - start;
        let start = cpu();
        files.extend(level0.write(&chunks, &flush()).unwrap().files.into_iter().map(|new| new.file));
        writing += cpu() - start;
    }

    let spill = dir.path().join("spill");
    std::fs::create_dir(&spill).unwrap();
    let merging = merge::open(256 << 20, &spill).unwrap();
    let start = cpu();
    let mut size = 0;
    for table in Table::ALL {
        let of_table: Vec<_> = files.iter().filter(|file| file.table == table.name()).collect();
        if of_table.is_empty() {
            continue;
        }
        let before = cpu();
        let job = Job {
            sealed: dir.path().to_owned(),
            table: table.name().to_owned(),
            inputs: of_table.iter().map(|file| (*file).into()).collect(),
            output: format!("{}/merged.parquet.part", table.name()).into(),
            level: 2,
            flush: Uuid::new_v4(),
            created: START,
            logs: Vec::new(),
            filter: None,
        };
        let merged = merge::write(&merging, &job).unwrap();
        println!(
            "  {:<16} {:>8} rows  {:>10} bytes sealed of {:>10} in {:>3} files {:>7.1} ms",
            table.name(),
            merged.rows,
            merged.bytes,
            of_table.iter().map(|file| file.bytes).sum::<u64>(),
            of_table.len(),
            (cpu() - before).as_secs_f64() * 1e3
        );
        size += merged.bytes;
    }
    let sealing = cpu() - start;

    let each = |time: Duration| time.as_secs_f64() * 1e6 / items as f64;
    let total = decoding + writing + sealing;
    let rate = items as f64 / total.as_secs_f64();
    println!("{items} {item}s of {:.0} bytes each in the log", payload as f64 / items as f64);
    println!("  decode to columns   {:.2} us", each(decoding));
    println!("  write level 0       {:.2} us", each(writing));
    println!("  merge               {:.2} us", each(sealing));
    println!(
        "  together            {:.2} us = {rate:.0} a CPU-second, {:.2} of the goal of {goal_rate:.0}",
        each(total),
        rate / goal_rate
    );
    println!("  sealed              {:.1} bytes each, goal {goal_bytes}", size as f64 / items as f64);
}

/// What an application's meter sends every 15 s: 200 requests of metrics with several series each.
fn points(count: usize) -> Vec<Record> {
    let mut random = SmallRng::seed_from_u64(2);
    let series = 1000;
    (0..count / series)
        .map(|scrape| {
            let time = START + scrape as u64 * 15_000_000_000;
            let metrics = (0..50)
                .map(|metric| {
                    let data_points = (0..series / 50)
                        .map(|i| NumberDataPoint {
                            attributes: vec![
                                text("http.request.method", if i % 2 == 0 { "GET" } else { "POST" }),
                                text("http.route", format!("/api/items/{i}")),
                                attribute("http.response.status_code", Any::IntValue(200)),
                                text("server.address", "shop.example"),
                            ],
                            start_time_unix_nano: START,
                            time_unix_nano: time,
                            value: Some(number_data_point::Value::AsInt(
                                i64::try_from(scrape).unwrap() * 10 + random.random_range(0..10),
                            )),
                            ..NumberDataPoint::default()
                        })
                        .collect();
                    let data = Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true });
                    Metric {
                        name: format!("http.server.metric_{metric}"),
                        unit: "{request}".to_owned(),
                        description: "A metric of the server".to_owned(),
                        data: Some(data),
                        ..Metric::default()
                    }
                })
                .collect();
            let request = ExportMetricsServiceRequest {
                resource_metrics: vec![ResourceMetrics {
                    resource: Some(resource(0)),
                    scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
                    ..ResourceMetrics::default()
                }],
            };
            record(Signal::Metrics, Format::Otlp, series, request.encode_to_vec())
        })
        .collect()
}

/// What Prometheus sends of a node_exporter scraped every 15 s: 1,000 series, of which a third
/// never change, a third count up evenly and a third are gauges. 500 samples a request.
fn samples(count: usize) -> Vec<Record> {
    let mut random = SmallRng::seed_from_u64(3);
    let series = 1000;
    let mut values = vec![0.0f64; series];
    let mut records = Vec::new();
    for scrape in 0..count / series {
        let timestamp = i64::try_from(START / 1_000_000).unwrap() + i64::try_from(scrape).unwrap() * 15_000 + 3;
        let timeseries: Vec<v1::TimeSeries> = (0..series)
            .map(|i| {
                match i % 3 {
                    0 => {}
                    1 => values[i] += f64::from(random.random_range(0..200u32)) / 100.0,
                    _ => values[i] = f64::from(random.random_range(0..1u32 << 20)) * 4096.0,
                }
                let label = |name: &str, value: String| v1::Label { name: name.to_owned(), value };
                v1::TimeSeries {
                    labels: vec![
                        label("__name__", format!("node_metric_{}_total", i / 10)),
                        label("cpu", (i % 10).to_string()),
                        label("instance", "localhost:9100".to_owned()),
                        label("job", "node".to_owned()),
                        label("mode", "user".to_owned()),
                    ],
                    samples: vec![v1::Sample { value: values[i], timestamp }],
                    ..v1::TimeSeries::default()
                }
            })
            .collect();
        for timeseries in timeseries.chunks(500) {
            let request = v1::WriteRequest { timeseries: timeseries.to_vec(), metadata: Vec::new() };
            records.push(record(Signal::Metrics, Format::RemoteWriteV1, 500, request.encode_to_vec()));
        }
    }
    records
}

fn record(signal: Signal, format: Format, items: usize, payload: Vec<u8>) -> Record {
    Record {
        position: Position(0),
        batch: Batch {
            signal,
            format,
            compression: Compression::Identity,
            items: u32::try_from(items).unwrap(),
            decoded_size: payload.len() as u64,
            received: START,
            meta: Meta::default(),
            payload: Bytes::from(payload),
        },
    }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Any::StringValue(value.into()))
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource(service: usize) -> Resource {
    let attributes = vec![
        text("service.name", format!("service-{service}")),
        text("service.version", "1.4.2"),
        text("host.name", "box"),
        text("os.type", "linux"),
        text("telemetry.sdk.language", "nodejs"),
        text("telemetry.sdk.name", "opentelemetry"),
        attribute("process.pid", Any::IntValue(4242)),
    ];
    Resource { attributes, ..Resource::default() }
}

/// Requests of 512 server and client spans with ten attributes, four sets of keys.
fn spans(count: usize) -> Vec<Record> {
    let mut random = SmallRng::seed_from_u64(1);
    let mut time = START;
    let mut records = Vec::new();
    for batch in 0..count / 512 {
        let spans = (0..512)
            .map(|i| {
                time += 3_000_000 + random.random_range(0..1_000_000);
                let route = random.random_range(0..20);
                let server = i % 2 == 0;
                let mut attributes = vec![
                    text("http.request.method", if route % 3 == 0 { "POST" } else { "GET" }),
                    text("http.route", format!("/api/items/{route}/{{id}}")),
                    text("url.path", format!("/api/items/{route}/{}", random.random_range(0..2000))),
                    text("url.scheme", "http"),
                    text("server.address", format!("service-{}", route % 4)),
                    attribute("server.port", Any::IntValue(8080)),
                    attribute("http.response.status_code", Any::IntValue(if route == 7 { 500 } else { 200 })),
                    text("network.protocol.version", "1.1"),
                    text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
                ];
                attributes.push(if server {
                    text("client.address", format!("10.0.0.{}", random.random_range(0..50)))
                } else {
                    text("peer.service", format!("service-{}", route % 4))
                });
                if i % 16 == 0 {
                    attributes.push(attribute("retry", Any::BoolValue(true)));
                }
                Span {
                    trace_id: random.random::<[u8; 16]>().to_vec(),
                    span_id: random.random::<[u8; 8]>().to_vec(),
                    parent_span_id: if i % 4 == 0 { Vec::new() } else { random.random::<[u8; 8]>().to_vec() },
                    name: format!("GET /api/items/{route}/{{id}}"),
                    kind: if server { 2 } else { 3 },
                    start_time_unix_nano: time,
                    end_time_unix_nano: time + random.random_range(100_000..90_000_000),
                    attributes,
                    ..Span::default()
                }
            })
            .collect();
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource(batch % 4)),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "@opentelemetry/instrumentation-http".to_owned(),
                        version: "0.57.1".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        records.push(record(Signal::Traces, Format::Otlp, 512, request.encode_to_vec()));
    }
    records
}
