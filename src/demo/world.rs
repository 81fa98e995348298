//! All parts of the demo at one point of its time: visitors come, every part takes note of them,
//! and what is due is put into requests.

use super::database::Database;
use super::host::{self, Host};
use super::load::{Conditions, Load, mix};
use super::logs::Lines;
use super::metrics::ShopMetrics;
use super::otlp_profiles;
use super::payload::{Message, Payload};
use super::pprof::{self, Builder};
use super::profiler::Profiler;
use super::send::Lane;
use super::shop::{Service, Shop};
use super::span_metrics::SpanMetrics;
use super::traces::Spans;

const SECOND: u64 = 1_000_000_000;

/// A request and the lane that it takes.
pub type Due = (Lane, Payload);

/// The shop, its host and everything that watches them.
#[derive(Debug)]
pub struct World {
    seed: u64,
    shop: Shop,
    load: Load,
    spans: Spans,
    lines: [Lines; 4],
    metrics: ShopMetrics,
    span_metrics: SpanMetrics,
    host: Host,
    database: Database,
    profilers: [Profiler; 4],
    requests: u64,
}

impl World {
    /// As it is at `from` (unix seconds); `rate`: requests a second, the mean of a day.
    pub fn new(seed: u64, rate: f64, from: u64) -> World {
        let now = from * SECOND;
        World {
            seed,
            shop: Shop::new(seed),
            load: Load::new(rate, seed),
            spans: Spans::default(),
            lines: Service::ALL.map(Lines::new),
            metrics: ShopMetrics::new(now),
            span_metrics: SpanMetrics::new(now),
            host: Host::new(now),
            database: Database::new(now),
            profilers: Service::ALL.map(|service| Profiler::new(service, seed, now)),
            requests: 0,
        }
    }

    /// Lives through one second (unix).
    pub fn live(&mut self, second: u64) {
        let conditions = Conditions::at(self.seed, second);
        let requests = self.load.requests_in(second) as u64;
        self.requests += requests;
        for n in 0..requests {
            let jitter = mix(self.seed ^ second, n) % (SECOND / requests);
            let at = second * SECOND + n * (SECOND / requests) + jitter;
            for visit in self.shop.visit(at, conditions) {
                self.spans.add(&visit);
                self.lines.iter_mut().for_each(|lines| lines.add(&visit));
                self.metrics.record(&visit);
                self.span_metrics.record(&visit);
                self.database.record(&visit);
                self.profilers.iter_mut().for_each(|profiler| profiler.record(&visit));
            }
        }
        if second.is_multiple_of(60) {
            self.lines.iter_mut().for_each(|lines| lines.add_sign_of_life(second * SECOND));
        }
    }

    /// How many spans wait to be sent.
    pub fn waiting_spans(&self) -> u64 {
        self.spans.count
    }

    /// The spans and log records that wait.
    pub fn spans_and_logs(&mut self) -> Vec<Due> {
        let mut due = Vec::new();
        let spans = std::mem::take(&mut self.spans);
        if spans.count > 0 {
            let counts = vec![("spans", spans.count), ("error_spans", spans.errors), ("traces", spans.traces)];
            let message = Message::Traces(spans.into_request());
            due.push((Lane::Traces, Payload { kind: "traces, OTLP gRPC", message, counts }));
        }
        for (service, lines) in Service::ALL.into_iter().zip(&mut self.lines) {
            let count = lines.count();
            if count == 0 {
                continue;
            }
            let request = lines.take();
            // Each service has another way to send its log, so that every receiver is used.
            let payload = match service {
                Service::Storefront => Payload::logs_json(&request, count),
                Service::Checkout => Payload::logs_protobuf(&request, count),
                Service::Catalog | Service::Payments => {
                    let counts = vec![("log_records", count)];
                    Payload { kind: "logs, OTLP gRPC", message: Message::Logs(request), counts }
                }
            };
            due.push((Lane::Logs, payload));
        }
        due
    }

    /// All metrics, at a time (unix seconds).
    pub fn metrics(&mut self, second: u64) -> Vec<Due> {
        let now = second * SECOND;
        let requests = std::mem::take(&mut self.requests);
        vec![
            (Lane::Metrics, Payload::metrics("metrics, OTLP gRPC", self.metrics.collect(now))),
            (Lane::Metrics, Payload::metrics("span metrics, OTLP gRPC", self.span_metrics.collect(now))),
            (Lane::RemoteWrite, Payload::remote_write_1(&self.host.scrape(now, requests))),
            (Lane::RemoteWrite, Payload::remote_write_2(&self.database.scrape(now))),
        ]
    }

    /// The host's metadata, which comes by itself once a minute.
    pub fn metadata(&self) -> Due {
        (Lane::RemoteWrite, Payload::remote_write_1(&host::metadata()))
    }

    /// The stale markers of what ends with the demo.
    pub fn farewell(&mut self, second: u64) -> Option<Due> {
        let request = self.host.farewell(second * SECOND + SECOND / 2)?;
        Some((Lane::RemoteWrite, Payload::remote_write_1(&request)))
    }

    /// The profiles of the time since the last, at a time (unix seconds).
    pub fn profiles(&mut self, second: u64) -> Vec<Due> {
        let to = second * SECOND;
        let id = mix(self.seed ^ 0xf1a3e, second);
        let mut due = Vec::new();
        for profiler in &mut self.profilers {
            let (service, from) = (profiler.service, profiler.from());
            let seen = profiler.collect(to, service == Service::Storefront);
            let count = seen.len() as u64;
            match service {
                Service::Storefront => {
                    let wall = pprof::encode(&Builder::wall(&seen, from, to));
                    due.push(Payload::ingest_node(service.name(), &wall, count, from, to, Some(100)));
                    let heap = profiler.heap();
                    let count = heap.len() as u64;
                    let heap = pprof::encode(&Builder::heap(&heap, from, to));
                    due.push(Payload::ingest_node(service.name(), &heap, count, from, to, None));
                }
                Service::Checkout => {
                    let cpu = pprof::encode(&Builder::cpu(&seen, from, to));
                    due.push(Payload::ingest_go(service.name(), &cpu, count, from, to));
                }
                Service::Catalog => {
                    let cpu = pprof::encode(&Builder::cpu(&seen, from, to));
                    due.push(Payload::push(service.name(), format!("{id:016x}"), cpu, count));
                }
                Service::Payments => {
                    let id = (u128::from(id) << 64 | u128::from(second)).to_be_bytes();
                    let message = Message::Profiles(otlp_profiles::request(service, id, &seen, from, to));
                    let counts = vec![("profiles", 1), ("profile_samples", count)];
                    due.push(Payload { kind: "profiles, OTLP gRPC", message, counts });
                }
            }
        }
        due.into_iter().map(|payload| (Lane::Profiles, payload)).collect()
    }
}
