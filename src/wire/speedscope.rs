//! speedscope's JSON (`file-format-schema.json` of jlfwong/speedscope): shared frames, and profiles
//! that are samples with weights, or events of frames that open and close.
//!
//! Receiver and store both read it here, so that the one refuses what the other could not store.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// Levels of all stacks that the events of a file lead to. An event of 60 bytes gives out the whole
/// stack that is open, so that a small file could else ask for any amount of work.
const MAX_LEVELS: usize = 64 << 20;

/// Profiles of one file. Each takes some hundred bytes, however small it is in the file.
const MAX_PROFILES: usize = 10_000;

/// A whole file. One that is only checked keeps neither frames nor values (`KEEP` is false): a body
/// of brackets takes many times its size in lists.
#[derive(Debug, Deserialize)]
pub struct File<const KEEP: bool = true> {
    shared: Shared<KEEP>,
    profiles: Vec<Profile<KEEP>>,
}

#[derive(Debug, Deserialize)]
struct Shared<const KEEP: bool> {
    frames: List<Frame, KEEP>,
}

/// One level of a stack.
#[derive(Debug, Deserialize)]
pub struct Frame {
    /// The function.
    pub name: String,
    /// Its file, if known.
    #[serde(default)]
    pub file: Option<String>,
    /// The line in it, if known.
    #[serde(default)]
    pub line: Option<f64>,
}

/// One profile of a file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile<const KEEP: bool = true> {
    r#type: Kind,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What its values are: `bytes`, `nanoseconds`, `microseconds`, `milliseconds`, `seconds` or
    /// `none`.
    #[serde(default)]
    pub unit: String,
    samples: Option<Stacks<KEEP>>,
    weights: Option<List<f64, KEEP>>,
    start_value: Option<f64>,
    events: Option<Events<KEEP>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sampled,
    Evented,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Event {
    r#type: Direction,
    frame: u32,
    at: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Direction {
    #[serde(rename = "O")]
    Open,
    #[serde(rename = "C")]
    Close,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("speedscope: {0}")]
pub struct SpeedscopeError(String);

/// Whether a file can be read, and its profiles hold together.
///
/// # Errors
/// What is wrong, in which profile.
pub fn check(body: &[u8]) -> Result<(), SpeedscopeError> {
    File::<false>::read(body).map(drop)
}

impl File {
    /// Reads a file and checks that its profiles hold together.
    ///
    /// # Errors
    /// What is wrong, in which profile.
    pub fn parse(body: &[u8]) -> Result<Self, SpeedscopeError> {
        Self::read(body)
    }

    /// The frames, which the profiles refer to by their place.
    pub fn frames(&self) -> &[Frame] {
        &self.shared.frames.kept
    }

    /// The profiles.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }
}

impl<const KEEP: bool> File<KEEP> {
    fn read(body: &[u8]) -> Result<Self, SpeedscopeError> {
        let file: Self = serde_json::from_slice(body).map_err(|error| SpeedscopeError(error.to_string()))?;
        if file.profiles.len() > MAX_PROFILES {
            return Err(SpeedscopeError(format!("{} profiles, at most {MAX_PROFILES} are taken", file.profiles.len())));
        }
        let mut levels = 0;
        for (i, profile) in file.profiles.iter().enumerate() {
            profile
                .check(file.shared.frames.count, &mut levels)
                .map_err(|problem| SpeedscopeError(format!("profiles[{i}]: {problem}")))?;
        }
        Ok(file)
    }
}

impl<const KEEP: bool> Profile<KEEP> {
    fn check(&self, frames: usize, levels: &mut usize) -> Result<(), String> {
        let known = |highest: Option<u32>| match highest {
            Some(frame) if frame as usize >= frames => {
                Err(format!("frame {frame} is not in the file, which has {frames}"))
            }
            _ => Ok(()),
        };
        let missing = |field| format!("missing field `{field}`");
        match self.r#type {
            Kind::Sampled => {
                let samples = self.samples.as_ref().ok_or_else(|| missing("samples"))?;
                let weights = self.weights.as_ref().ok_or_else(|| missing("weights"))?;
                if samples.count != weights.count {
                    return Err(format!("{} samples have {} weights", samples.count, weights.count));
                }
                known(samples.highest)
            }
            Kind::Evented => {
                let events = self.events.as_ref().ok_or_else(|| missing("events"))?;
                let start = self.start_value.ok_or_else(|| missing("startValue"))?;
                known(events.highest)?;
                if events.first.is_some_and(|first| first < start) {
                    return Err("events[0] is earlier than the one before".to_owned());
                }
                if let Some(problem) = &events.problem {
                    return Err(problem.clone());
                }
                *levels += events.levels;
                if *levels > MAX_LEVELS {
                    return Err("too many events with too many frames open".to_owned());
                }
                Ok(())
            }
        }
    }
}

impl Profile {
    /// Hands over each stack, root first, as places in the shared frames, with its value in the
    /// profile's unit.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn stacks<E>(&self, mut each: impl FnMut(&[u32], f64) -> Result<(), E>) -> Result<(), E> {
        match (&self.samples, &self.weights, &self.events, self.r#type) {
            (Some(samples), Some(weights), _, Kind::Sampled) => {
                let starts = std::iter::once(0).chain(samples.ends.iter().copied());
                let stacks = starts.zip(&samples.ends).map(|(start, end)| &samples.places[start..*end]);
                stacks.zip(&weights.kept).try_for_each(|(stack, weight)| each(stack, *weight))
            }
            (_, _, Some(events), Kind::Evented) => {
                let (mut open, mut last) = (Vec::new(), self.start_value.unwrap_or_default());
                for event in &events.kept {
                    if !open.is_empty() && event.at > last {
                        each(&open, event.at - last)?;
                    }
                    last = event.at;
                    match event.r#type {
                        Direction::Open => open.push(event.frame),
                        Direction::Close => _ = open.pop(),
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A list that is counted, and kept if that is asked for.
#[derive(Debug)]
struct List<T, const KEEP: bool> {
    count: usize,
    kept: Vec<T>,
}

/// The stacks of all samples, one after the other.
#[derive(Debug, Default)]
struct Stacks<const KEEP: bool> {
    count: usize,
    /// The greatest place that is named.
    highest: Option<u32>,
    places: Vec<u32>,
    /// Where each stack ends.
    ends: Vec<usize>,
}

/// Events, and what was found out about them while they were read.
#[derive(Debug, Default)]
struct Events<const KEEP: bool> {
    highest: Option<u32>,
    /// When the first one happened.
    first: Option<f64>,
    /// Levels of the stacks that they lead to.
    levels: usize,
    /// What is wrong with the first one that does not fit.
    problem: Option<String>,
    kept: Vec<Event>,
}

/// Reads a list element by element.
struct Elements<T, F>(F, std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Elements<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

fn elements<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D, each: impl FnMut(T)) -> Result<(), D::Error> {
    from.deserialize_seq(Elements(each, std::marker::PhantomData))
}

impl<'de, T: Deserialize<'de>, const KEEP: bool> Deserialize<'de> for List<T, KEEP> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut list = List { count: 0, kept: Vec::new() };
        elements(from, |element| {
            list.count += 1;
            if KEEP {
                list.kept.push(element);
            }
        })?;
        Ok(list)
    }
}

impl<'de, const KEEP: bool> Deserialize<'de> for Stacks<KEEP> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut stacks = Stacks::default();
        from.deserialize_seq(&mut stacks)?;
        Ok(stacks)
    }
}

impl<'de, const KEEP: bool> Visitor<'de> for &mut Stacks<KEEP> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of stacks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Stack(&mut *self))?.is_some() {
            self.count += 1;
            if KEEP {
                self.ends.push(self.places.len());
            }
        }
        Ok(())
    }
}

/// One stack, read to the end of the others.
struct Stack<'s, const KEEP: bool>(&'s mut Stacks<KEEP>);

impl<'de, const KEEP: bool> serde::de::DeserializeSeed<'de> for Stack<'_, KEEP> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        elements(from, |place: u32| {
            self.0.highest = self.0.highest.max(Some(place));
            if KEEP {
                self.0.places.push(place);
            }
        })
    }
}

impl<'de, const KEEP: bool> Deserialize<'de> for Events<KEEP> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut events = Events::default();
        let (mut open, mut last, mut number) = (Vec::new(), f64::NEG_INFINITY, 0);
        elements(from, |event: Event| {
            let problem = events.take(event, &mut open, &mut last);
            if let (Some(problem), None) = (problem, &events.problem) {
                events.problem = Some(format!("events[{number}] {problem}"));
            }
            number += 1;
        })?;
        Ok(events)
    }
}

impl<const KEEP: bool> Events<KEEP> {
    /// Adds an event to the stack that is open; says what is wrong with it.
    fn take(&mut self, event: Event, open: &mut Vec<u32>, last: &mut f64) -> Option<&'static str> {
        self.highest = self.highest.max(Some(event.frame));
        self.first.get_or_insert(event.at);
        self.levels = self.levels.saturating_add(open.len());
        if KEEP {
            self.kept.push(event);
        }
        let in_order = event.at >= std::mem::replace(last, event.at);
        match event.r#type {
            _ if !in_order => return Some("is earlier than the one before"),
            Direction::Open => open.push(event.frame),
            Direction::Close if open.last() == Some(&event.frame) => _ = open.pop(),
            Direction::Close => return Some("closes a frame that is not the last open one"),
        }
        None
    }
}

#[cfg(test)]
mod tests;
