//! Java Flight Recorder: recordings of the JDK, of async-profiler and of Pyroscope's Java agent, as
//! profiles named as Pyroscope names them (`pprof/pprof.go` of grafana/jfr-parser).
//!
//! | event | profile | values |
//! |---|---|---|
//! | execution sample | `process_cpu` | `cpu` |
//! | the same when the profiler's event is `wall`, and wall clock samples | `wall` | `wall` |
//! | allocation in a new buffer, outside of one, sampled | `memory` | `alloc_in_new_tlab_*`, `alloc_outside_tlab_*`, `alloc_sample_*` |
//! | live object, native memory | `memory` | `live`, `malloc_*` |
//! | monitor entered | `mutex` | `contentions`, `delay` |
//! | thread parked | `block` | `contentions`, `delay` |

use std::collections::HashMap;

use crate::store::ingest::profiles::{Frame, Header, Profiles, SampleKey, SampleType, Samples};
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::variant::{Encoder, Value};
use crate::wire::jfr::labels::LabelsSnapshot;
use crate::wire::jfr::{self, Chunk, Event, JfrError, Kind, Sample, StackFrame};

/// Name of the frame of a stack or method that the recording does not hold.
const UNKNOWN: &str = "[unknown]";

/// A profile that samples are gathered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Profile {
    Cpu,
    Wall,
    Of(Kind),
}

impl Profile {
    /// Its name, its sample types with their units, the type and unit of its period.
    fn names(self) -> (&'static str, &'static [(&'static str, &'static str)], (&'static str, &'static str)) {
        const SPACE: (&str, &str) = ("space", "bytes");
        const WAITS: &[(&str, &str)] = &[("contentions", "count"), ("delay", "nanoseconds")];
        match self {
            Profile::Cpu | Profile::Of(Kind::Execution) => {
                ("process_cpu", &[("cpu", "nanoseconds")], ("cpu", "nanoseconds"))
            }
            Profile::Wall | Profile::Of(Kind::WallClock) => {
                ("wall", &[("wall", "nanoseconds")], ("wall", "nanoseconds"))
            }
            Profile::Of(Kind::AllocationInNewTlab) => {
                ("memory", &[("alloc_in_new_tlab_objects", "count"), ("alloc_in_new_tlab_bytes", "bytes")], SPACE)
            }
            Profile::Of(Kind::AllocationOutsideTlab) => {
                ("memory", &[("alloc_outside_tlab_objects", "count"), ("alloc_outside_tlab_bytes", "bytes")], SPACE)
            }
            Profile::Of(Kind::AllocationSample) => {
                ("memory", &[("alloc_sample_objects", "count"), ("alloc_sample_bytes", "bytes")], SPACE)
            }
            Profile::Of(Kind::Malloc) => {
                ("memory", &[("malloc_objects", "count"), ("malloc_bytes", "bytes")], ("", ""))
            }
            Profile::Of(Kind::LiveObject) => ("memory", &[("live", "count")], ("objects", "count")),
            Profile::Of(Kind::MonitorEnter) => ("mutex", WAITS, ("mutex", "count")),
            Profile::Of(Kind::ThreadPark) => ("block", WAITS, ("block", "count")),
        }
    }
}

/// Adds the profiles of a recording. `period` is the time between two samples of a thread, in
/// nanoseconds; the labels of `header` are made of `labels` and the profiler's event.
///
/// # Errors
/// What is wrong with the recording and where.
pub(super) fn push(
    recording: &[u8],
    snapshot: &LabelsSnapshot,
    period: i64,
    header: &Header,
    labels: &[(&str, Value<'_>)],
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<(), ProtoError> {
    let mut decoder = Decoder {
        snapshot,
        period,
        time: header.time,
        profiles,
        encoder,
        chunk: None,
        stacks: HashMap::new(),
        frames: HashMap::new(),
        labels: HashMap::new(),
        event: String::new(),
        found: Vec::new(),
    };
    jfr::read(recording, |chunk, event| decoder.event(chunk, event))?;
    let Decoder { found, event, .. } = decoder;
    let mut labels = labels.to_vec();
    if !event.is_empty() {
        labels.push(("jfr_event", Value::Text(&event)));
    }
    let labels = encoder.encode(Value::Object(&labels))?.to_vec();
    for (profile, samples) in found {
        let (name, types, (period_type, period_unit)) = profile.names();
        let header = Header {
            name: name.to_owned(),
            period_type: period_type.to_owned(),
            period_unit: period_unit.to_owned(),
            period: if matches!(profile, Profile::Cpu | Profile::Wall) { period } else { 0 },
            labels: labels.clone(),
            ..header.clone()
        };
        let types: Vec<SampleType> =
            types.iter().map(|(name, unit)| SampleType { name: (*name).into(), unit: (*unit).into() }).collect();
        profiles.profile(&header, &types, &samples)?;
    }
    Ok(())
}

impl From<JfrError> for ProtoError {
    fn from(error: JfrError) -> Self {
        ProtoError::Text(format!("jfr: {error}"))
    }
}

struct Decoder<'a> {
    snapshot: &'a LabelsSnapshot,
    period: i64,
    time: Option<i64>,
    profiles: &'a mut Profiles,
    encoder: &'a mut Encoder,
    /// The chunk that the references below are of.
    chunk: Option<usize>,
    stacks: HashMap<u64, i64>,
    frames: HashMap<StackFrame, i64>,
    /// Encoded labels by context and name of the span.
    labels: HashMap<(u64, u64), Vec<u8>>,
    /// What the profiler counts: `cpu`, `wall`, `alloc`, ...
    event: String,
    found: Vec<(Profile, Samples)>,
}

impl Decoder<'_> {
    fn event(&mut self, chunk: &Chunk<'_>, event: &Event<'_>) -> Result<(), ProtoError> {
        match event {
            Event::Setting { name, value } if name == "event" => value.as_ref().clone_into(&mut self.event),
            Event::Setting { .. } => {}
            Event::Sample(sample) => self.sample(chunk, sample)?,
        }
        Ok(())
    }

    fn sample(&mut self, chunk: &Chunk<'_>, sample: &Sample) -> Result<(), ProtoError> {
        if self.chunk != Some(chunk.number) {
            self.chunk = Some(chunk.number);
            self.stacks.clear();
            self.frames.clear();
        }
        let state = chunk.constants.thread_state(sample.state).unwrap_or_default();
        let is_wall = self.event == "wall";
        let value = i64::try_from(sample.value).unwrap_or(i64::MAX);
        let time = value.saturating_mul(self.period);
        let key = self.key(chunk, sample)?;
        match sample.kind {
            Kind::Execution => {
                if state != "STATE_SLEEPING" {
                    self.add(Profile::Cpu, key.clone(), &[time])?;
                }
                if is_wall {
                    self.add(Profile::Wall, key, &[time])?;
                }
            }
            Kind::WallClock => {
                if is_wall && state == "STATE_RUNNABLE" {
                    self.add(Profile::Cpu, key.clone(), &[time])?;
                }
                self.add(Profile::Wall, key, &[time])?;
            }
            Kind::LiveObject => self.add(Profile::Of(sample.kind), key, &[1])?,
            Kind::MonitorEnter | Kind::ThreadPark => {
                self.add(Profile::Of(sample.kind), key, &[1, chunk.nanoseconds(sample.value)])?;
            }
            Kind::AllocationInNewTlab | Kind::AllocationOutsideTlab | Kind::AllocationSample | Kind::Malloc => {
                self.add(Profile::Of(sample.kind), key, &[1, value])?;
            }
        }
        Ok(())
    }

    fn add(&mut self, profile: Profile, key: SampleKey, values: &[i64]) -> Result<(), ProtoError> {
        let at = self.found.iter().position(|(found, _)| *found == profile).unwrap_or_else(|| {
            self.found.push((profile, Samples::default()));
            self.found.len() - 1
        });
        self.found[at].1.add(key, values)
    }

    fn key(&mut self, chunk: &Chunk<'_>, sample: &Sample) -> Result<SampleKey, ProtoError> {
        let stack_id = match self.stacks.get(&sample.stack) {
            Some(id) => *id,
            None => {
                let id = self.stack(chunk, sample.stack);
                self.stacks.insert(sample.stack, id);
                id
            }
        };
        let (high, low) = sample.trace_id;
        let trace_id = (u128::from(high) << 64) | u128::from(low);
        let span_id = sample.span_id;
        Ok(SampleKey {
            stack_id,
            trace_id: if trace_id == 0 { Vec::new() } else { trace_id.to_be_bytes().to_vec() },
            span_id: if span_id == 0 { Vec::new() } else { span_id.to_be_bytes().to_vec() },
            labels: self.labels(sample)?,
        })
    }

    fn labels(&mut self, sample: &Sample) -> Result<Vec<u8>, ProtoError> {
        let key = (sample.context, sample.span_name);
        if key == (0, 0) {
            return Ok(Vec::new());
        }
        if let Some(encoded) = self.labels.get(&key) {
            return Ok(encoded.clone());
        }
        let mut labels = self.snapshot.of(sample.context);
        labels.extend(self.snapshot.text(sample.span_name).map(|name| ("span_name", name)));
        let encoded = if labels.is_empty() {
            Vec::new()
        } else {
            let labels: Vec<_> = labels.into_iter().map(|(name, value)| (name, Value::Text(value))).collect();
            self.encoder.encode(Value::Object(&labels))?.to_vec()
        };
        self.labels.insert(key, encoded.clone());
        Ok(encoded)
    }

    /// The id of a stack, whose frames lie in the recording with the running one first.
    fn stack(&mut self, chunk: &Chunk<'_>, stack: u64) -> i64 {
        let frames = chunk.constants.stack_frames(stack).unwrap_or_default();
        let mut ids = Vec::with_capacity(frames.len().max(1));
        for frame in frames.iter().rev() {
            let id = match self.frames.get(frame) {
                Some(id) => *id,
                None => {
                    let id = self.frame(chunk, frame);
                    self.frames.insert(*frame, id);
                    id
                }
            };
            ids.push(id);
        }
        if ids.is_empty() {
            ids.push(self.profiles.frame(&Frame { function: UNKNOWN, ..Frame::default() }, self.time));
        }
        self.profiles.stack(ids.into_iter(), self.time)
    }

    fn frame(&mut self, chunk: &Chunk<'_>, frame: &StackFrame) -> i64 {
        // Long names would be written out for nothing.
        if self.profiles.is_full() {
            return 0;
        }
        let function = match chunk.constants.method(frame.method) {
            None => UNKNOWN.to_owned(),
            // Native code has no class.
            Some(("", name)) => name.to_owned(),
            Some((class, name)) => format!("{}.{name}", stable_class(class)),
        };
        let line = i64::from(frame.line);
        self.profiles.frame(&Frame { function: &function, line, ..Frame::default() }, self.time)
    }
}

/// The name of a class without what the virtual machine made up for this run, as Pyroscope has it:
/// one lambda would else be another function after each restart.
fn stable_class(class: &str) -> String {
    let cut = |marker: &str, generated: fn(char) -> bool| {
        let at = class.rfind(marker)? + marker.len();
        let rest = &class[at..];
        (!rest.is_empty() && rest.chars().all(generated)).then(|| format!("{}_", &class[..at]))
    };
    cut("$$Lambda", |c| c.is_ascii_hexdigit() || matches!(c, '$' | '.' | '/' | 'x'))
        .or_else(|| cut("jdk/internal/reflect/GeneratedMethodAccessor", |c| c.is_ascii_digit()))
        .or_else(|| cut("$$EnhancerBySpringCGLIB$$", |_| true))
        .unwrap_or_else(|| class.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_the_machine_makes_have_one_name() {
        for (class, stable) in [
            ("java/lang/Thread", "java/lang/Thread"),
            ("org/shop/Orders$$Lambda$669.0x0000000800fd7318", "org/shop/Orders$$Lambda_"),
            ("Fib$$Lambda.0x00007ffa600c4da0", "Fib$$Lambda_"),
            ("Fib$$Lambda$14/0x0000000840065840", "Fib$$Lambda_"),
            ("jdk/internal/reflect/GeneratedMethodAccessor31", "jdk/internal/reflect/GeneratedMethodAccessor_"),
            ("Shop$$EnhancerBySpringCGLIB$$1a2b", "Shop$$EnhancerBySpringCGLIB$$_"),
            ("Shop$$LambdaMaker", "Shop$$LambdaMaker"),
        ] {
            assert_eq!(stable_class(class), stable);
        }
    }
}
