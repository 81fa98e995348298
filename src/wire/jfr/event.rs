//! The events that are samples of a profile.

use std::borrow::Cow;
use std::collections::HashMap;

use super::JfrError;
use super::constants::{Constants, pick};
use super::cursor::{Cursor, Text};
use super::metadata::{Scalar, Types};

/// What a sample is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A thread that was met at a moment (`jdk.ExecutionSample`).
    Execution,
    /// A thread that was met at several moments, running or not (`profiler.WallClockSample`).
    WallClock,
    /// An allocation that began a thread's new buffer (`jdk.ObjectAllocationInNewTLAB`).
    AllocationInNewTlab,
    /// An allocation outside of a thread's buffer (`jdk.ObjectAllocationOutsideTLAB`).
    AllocationOutsideTlab,
    /// One of many allocations, with its weight (`jdk.ObjectAllocationSample`).
    AllocationSample,
    /// A thread that waited for a monitor (`jdk.JavaMonitorEnter`).
    MonitorEnter,
    /// A thread that was parked (`jdk.ThreadPark`).
    ThreadPark,
    /// An object that survived a collection (`profiler.LiveObject`).
    LiveObject,
    /// Memory outside of the heap (`profiler.Malloc`).
    Malloc,
}

impl Kind {
    /// The kind of an event's class, and the field that holds its value.
    fn of(class: &str) -> Option<(Kind, &'static str)> {
        Some(match class {
            "jdk.ExecutionSample" => (Kind::Execution, ""),
            "profiler.WallClockSample" => (Kind::WallClock, "samples"),
            "jdk.ObjectAllocationInNewTLAB" => (Kind::AllocationInNewTlab, "tlabSize"),
            "jdk.ObjectAllocationOutsideTLAB" => (Kind::AllocationOutsideTlab, "allocationSize"),
            "jdk.ObjectAllocationSample" => (Kind::AllocationSample, "weight"),
            "jdk.JavaMonitorEnter" => (Kind::MonitorEnter, "duration"),
            "jdk.ThreadPark" => (Kind::ThreadPark, "duration"),
            "profiler.LiveObject" => (Kind::LiveObject, ""),
            "profiler.Malloc" => (Kind::Malloc, "size"),
            _ => return None,
        })
    }
}

/// A sample of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What it is of.
    pub kind: Kind,
    /// Bytes, ticks or moments, by its kind; 1 for kinds without a value.
    pub value: u64,
    /// Reference to a stack.
    pub stack: u64,
    /// Reference to a state of the thread.
    pub state: u64,
    /// Reference to the labels of its moment; 0 is none. Pyroscope's agent sets it.
    pub context: u64,
    /// Id of the span that ran; 0 is none.
    pub span_id: u64,
    /// Reference to the name of that span; 0 is none.
    pub span_name: u64,
    /// Id of its trace, high and low half; 0 is none.
    pub trace_id: (u64, u64),
}

/// An event of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A sample.
    Sample(Sample),
    /// A setting of the profiler (`jdk.ActiveSetting`).
    Setting {
        /// Its name, such as `event`.
        name: Cow<'a, str>,
        /// Its value, such as `cpu` or `wall`.
        value: Cow<'a, str>,
    },
}

/// Which classes are events of interest.
#[derive(Debug)]
pub(super) struct Events {
    samples: HashMap<u64, (Kind, &'static str)>,
    setting: Option<u64>,
}

impl Events {
    pub(super) fn new(types: &Types) -> Self {
        Events {
            samples: types.names().filter_map(|(id, name)| Some((id, Kind::of(name)?))).collect(),
            setting: types.names().find(|(_, name)| *name == "jdk.ActiveSetting").map(|(id, _)| id),
        }
    }

    /// Reads the event at the cursor and goes to the next one. `None` is an event of no interest.
    pub(super) fn next<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        types: &Types,
        constants: &Constants<'a>,
    ) -> Result<Option<Event<'a>>, JfrError> {
        let start = cursor.position();
        let size = cursor.number()?;
        let end = cursor.limit(start, size)?;
        if end <= start {
            return Err(cursor.fail("an event has a size that cannot be"));
        }
        let class = cursor.number()?;
        let event = if self.setting == Some(class) {
            Some(setting(cursor, types, constants, class)?)
        } else if let Some((kind, value)) = self.samples.get(&class) {
            Some(sample(cursor, types, class, *kind, value)?)
        } else {
            None
        };
        cursor.seek(end)?;
        Ok(event)
    }
}

fn setting<'a>(
    cursor: &mut Cursor<'a>,
    types: &Types,
    constants: &Constants<'a>,
    class: u64,
) -> Result<Event<'a>, JfrError> {
    let empty = || Text::Here(Cow::Borrowed(""));
    let (mut name, mut value) = (empty(), empty());
    types.object(cursor, class, |field, found| match (field, found) {
        ("name", Scalar::Text(text)) => name = text,
        ("value", Scalar::Text(text)) => value = text,
        _ => {}
    })?;
    Ok(Event::Setting { name: constants.text(name), value: constants.text(value) })
}

fn sample<'a>(
    cursor: &mut Cursor<'_>,
    types: &Types,
    class: u64,
    kind: Kind,
    value: &'static str,
) -> Result<Event<'a>, JfrError> {
    let mut numbers = [
        ("stackTrace", 0),
        ("state", 0),
        ("contextId", 0),
        ("spanId", 0),
        ("spanName", 0),
        ("traceIdHi", 0),
        ("traceIdLo", 0),
        (value, u64::from(value.is_empty())),
    ];
    types.object(cursor, class, |name, value| pick(&mut numbers, name, &value))?;
    let [stack, state, context, span_id, span_name, high, low, value] = numbers.map(|(_, number)| number);
    Ok(Event::Sample(Sample { kind, value, stack, state, context, span_id, span_name, trace_id: (high, low) }))
}
