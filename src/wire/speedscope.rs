//! speedscope's JSON (`file-format-schema.json` of jlfwong/speedscope): shared frames, and profiles
//! that are samples with weights, or events of frames that open and close.
//!
//! Receiver and store both read it here, so that the one refuses what the other could not store.

use serde::Deserialize;

/// Levels of all stacks that the events of a file lead to. An event of 60 bytes gives out the whole
/// stack that is open, so that a small file could else ask for any amount of work.
const MAX_LEVELS: usize = 64 << 20;

/// A whole file.
#[derive(Debug, Deserialize)]
pub struct File {
    /// What the profiles share.
    pub shared: Shared,
    /// The profiles.
    pub profiles: Vec<Profile>,
}

/// What the profiles of a file share.
#[derive(Debug, Deserialize)]
pub struct Shared {
    /// The frames, which the profiles refer to by their place.
    pub frames: Vec<Frame>,
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
pub struct Profile {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What its values are: `bytes`, `nanoseconds`, `microseconds`, `milliseconds`, `seconds` or
    /// `none`.
    #[serde(default)]
    pub unit: String,
    #[serde(flatten)]
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Content {
    Sampled {
        samples: Vec<Vec<usize>>,
        weights: Vec<f64>,
    },
    #[serde(rename_all = "camelCase")]
    Evented {
        start_value: f64,
        events: Vec<Event>,
    },
}

#[derive(Debug, Deserialize)]
struct Event {
    r#type: Direction,
    frame: usize,
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

impl File {
    /// Reads a file and checks that its profiles hold together.
    ///
    /// # Errors
    /// What is wrong, in which profile.
    pub fn parse(body: &[u8]) -> Result<Self, SpeedscopeError> {
        let file: File = serde_json::from_slice(body).map_err(|error| SpeedscopeError(error.to_string()))?;
        let mut levels = 0;
        for (i, profile) in file.profiles.iter().enumerate() {
            profile
                .check(file.shared.frames.len(), &mut levels)
                .map_err(|problem| SpeedscopeError(format!("profiles[{i}]: {problem}")))?;
        }
        Ok(file)
    }
}

impl Profile {
    fn check(&self, frames: usize, levels: &mut usize) -> Result<(), String> {
        let known = |frame: usize| match frame < frames {
            true => Ok(()),
            false => Err(format!("frame {frame} is not in the file, which has {frames}")),
        };
        match &self.content {
            Content::Sampled { samples, weights } if samples.len() != weights.len() => {
                Err(format!("{} samples have {} weights", samples.len(), weights.len()))
            }
            Content::Sampled { samples, .. } => samples.iter().flatten().try_for_each(|frame| known(*frame)),
            Content::Evented { start_value, events } => {
                let (mut open, mut last) = (Vec::new(), *start_value);
                for (i, event) in events.iter().enumerate() {
                    known(event.frame)?;
                    if event.at < last {
                        return Err(format!("events[{i}] is earlier than the one before"));
                    }
                    last = event.at;
                    *levels += open.len();
                    if *levels > MAX_LEVELS {
                        return Err("too many events with too many frames open".to_owned());
                    }
                    match event.r#type {
                        Direction::Open => open.push(event.frame),
                        Direction::Close if open.last() == Some(&event.frame) => _ = open.pop(),
                        Direction::Close => {
                            return Err(format!("events[{i}] closes a frame that is not the last open one"));
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Hands over each stack, root first, as places in the shared frames, with its value in the
    /// profile's unit.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn stacks<E>(&self, mut each: impl FnMut(&[usize], f64) -> Result<(), E>) -> Result<(), E> {
        match &self.content {
            Content::Sampled { samples, weights } => {
                samples.iter().zip(weights).try_for_each(|(stack, weight)| each(stack, *weight))
            }
            Content::Evented { start_value, events } => {
                let (mut open, mut last) = (Vec::new(), *start_value);
                for event in events {
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(profile: &str) -> String {
        let body = format!(r#"{{"shared":{{"frames":[{{"name":"a"}},{{"name":"b"}}]}},"profiles":[{profile}]}}"#);
        File::parse(body.as_bytes()).map_or_else(|error| error.to_string(), |_| "none".to_owned())
    }

    #[test]
    fn profiles_hold_together() {
        let sampled = |samples, weights| format!(r#"{{"type":"sampled","samples":{samples},"weights":{weights}}}"#);
        assert_eq!(refusal(&sampled("[[0,1],[]]", "[1,2.5]")), "none");
        assert_eq!(refusal(&sampled("[[0]]", "[]")), "speedscope: profiles[0]: 1 samples have 0 weights");
        assert_eq!(
            refusal(&sampled("[[2]]", "[1]")),
            "speedscope: profiles[0]: frame 2 is not in the file, which has 2"
        );
        assert!(refusal(r#"{"type":"other"}"#).contains("unknown variant `other`"));
        let evented = |events| format!(r#"{{"type":"evented","startValue":0,"events":[{events}]}}"#);
        let event = |kind: &str, frame: u32, at: u32| format!(r#"{{"type":"{kind}","frame":{frame},"at":{at}}}"#);
        let events = |events: &[(&str, u32, u32)]| {
            let events: Vec<String> = events.iter().map(|(kind, frame, at)| event(kind, *frame, *at)).collect();
            refusal(&evented(events.join(",")))
        };
        assert_eq!(events(&[("O", 0, 1), ("O", 1, 1), ("C", 1, 2), ("C", 0, 3)]), "none");
        assert!(events(&[("O", 0, 2), ("C", 0, 1)]).contains("events[1] is earlier than the one before"));
        assert!(events(&[("O", 0, 1), ("C", 1, 2)]).contains("events[1] closes a frame that is not the last open one"));
        assert!(events(&[("C", 0, 1)]).contains("events[0] closes a frame"));
    }

    #[test]
    fn events_do_not_ask_for_endless_work() {
        let open: Vec<String> = (0..20_000).map(|at| format!(r#"{{"type":"O","frame":0,"at":{at}}}"#)).collect();
        let profile = format!(r#"{{"type":"evented","startValue":0,"events":[{}]}}"#, open.join(","));
        assert!(refusal(&profile).contains("too many events"));
    }
}
