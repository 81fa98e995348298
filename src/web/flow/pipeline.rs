//! The picture of the pipeline: receivers on the left, the logs in the middle, destinations on the right.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::web::chart;
use crate::web::history::{History, Line};
use crate::web::params::{Params, segment};
use crate::web::status::{Destination, Status};
use crate::web::text::{bytes, cut, duration, number, rate};

/// A destination is behind when its oldest record is older than this, in seconds.
const BEHIND: f64 = 60.0;

const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 66.0;
const ROW: f64 = 84.0;
const COLUMNS: [f64; 3] = [10.0, 365.0, 720.0];

/// The signals in the order of the logs.
const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "profiles"];

/// A receiver.
pub struct Receiver {
    /// The name of its port.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What its protocol can carry.
    pub signals: &'static [&'static str],
}

/// All of them.
pub const RECEIVERS: [Receiver; 4] = [
    Receiver { name: "otlp_grpc", title: "OTLP gRPC", signals: &SIGNALS },
    Receiver { name: "otlp_http", title: "OTLP HTTP", signals: &SIGNALS },
    Receiver { name: "remote_write", title: "Remote write", signals: &["metrics"] },
    Receiver { name: "pyroscope", title: "Pyroscope", signals: &["profiles"] },
];

/// How a part is; a class of the style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It has nothing to do.
    Idle,
    /// It works.
    Ok,
    /// It is behind, or has lost something.
    Warn,
    /// It takes nothing.
    Bad,
}

impl State {
    /// The class.
    pub fn class(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Ok => "ok",
            State::Warn => "warn",
            State::Bad => "bad",
        }
    }

    fn of_rate(rate: f64) -> Self {
        if rate > 0.0 { State::Ok } else { State::Idle }
    }
}

/// How a destination is for one signal.
pub fn state_of(to: &Destination, rate: f64) -> State {
    if to.failing_since.is_some() {
        State::Bad
    } else if to.dropped_items > 0 || to.dead_letters > 0 || (!to.store && to.lag_seconds > BEHIND) {
        State::Warn
    } else {
        State::of_rate(rate)
    }
}

/// A box of the picture.
struct Part {
    href: String,
    title: String,
    state: State,
    lines: [String; 2],
    values: Line,
}

/// The picture.
pub fn draw(status: &Status, history: &History, kept: &Params) -> Markup {
    let receivers = receivers(status, history, kept);
    let logs = logs(status, history, kept);
    let (names, destinations) = destinations(status, history, kept);
    let rows = receivers.len().max(logs.len()).max(destinations.len()).max(1);
    let height = rows as f64 * ROW + 34.0;
    let place = |count: usize, n: usize| 34.0 + (rows - count) as f64 * ROW / 2.0 + n as f64 * ROW;
    let boxes: [Vec<&Part>; 3] =
        [receivers.iter().map(|(_, part)| part).collect(), logs.iter().collect(), destinations.iter().collect()];
    html! {
        svg.pipeline viewBox={ "0 0 980 " (height) } role="group" aria-label="Receivers, logs and destinations" {
            @for (x, name) in COLUMNS.into_iter().zip(["Receivers", "Write-ahead log", "Destinations"]) {
                text.heading x=(x) y="20" { (name) }
            }
            @for (n, (signals, from)) in receivers.iter().enumerate() {
                @for (m, log) in logs.iter().enumerate().filter(|(_, log)| signals.contains(&log.title.as_str())) {
                    (edge((0, place(receivers.len(), n)), (1, place(logs.len(), m)), from.state.min(log.state)))
                }
            }
            @for (m, signal) in status.signals.iter().enumerate() {
                @for to in &signal.log.destinations {
                    @if let Some(n) = names.iter().position(|name| *name == to.name) {
                        @let state = state_of(to, signal.rate.last_minute);
                        (edge((1, place(logs.len(), m)), (2, place(destinations.len(), n)), state))
                    }
                }
            }
            @for (column, parts) in boxes.iter().enumerate() {
                @for (n, part) in parts.iter().enumerate() {
                    (draw_part(part, (COLUMNS[column], place(parts.len(), n))))
                }
            }
        }
    }
}

/// The receivers that are there, with the signals that they can bring.
fn receivers(status: &Status, history: &History, kept: &Params) -> Vec<(&'static [&'static str], Part)> {
    let opened = RECEIVERS.iter().filter_map(|receiver| Some((receiver, status.addresses.get(receiver.name)?)));
    let part = |(receiver, address): (&Receiver, &std::net::SocketAddr)| {
        let values = history.receivers.get(receiver.name).cloned().unwrap_or_default();
        let last = values.last_minute(history.step_seconds).unwrap_or(0.0);
        let part = Part {
            href: kept.link(&format!("/flow/receiver/{}", segment(receiver.name))),
            title: receiver.title.to_owned(),
            state: State::of_rate(last),
            lines: [rate(last), format!("port {}", address.port())],
            values,
        };
        (receiver.signals, part)
    };
    opened.map(part).collect()
}

fn logs(status: &Status, history: &History, kept: &Params) -> Vec<Part> {
    let part = |(n, signal): (usize, &crate::web::status::SignalStatus)| {
        let failing = signal.log.failing.is_some();
        let refuses = !signal.log.full_of.is_empty();
        let damaged = signal.log.corrupt_records + signal.log.missing_records > 0;
        let state = match (failing, refuses || damaged) {
            (true, _) => State::Bad,
            (false, true) => State::Warn,
            (false, false) => State::of_rate(signal.rate.last_minute),
        };
        Part {
            href: kept.link(&format!("/flow/log/{}", segment(&signal.signal))),
            title: signal.signal.clone(),
            state,
            lines: [rate(signal.rate.last_minute), bytes(signal.log.size_bytes)],
            values: history.signals.get(n).cloned().unwrap_or_default(),
        }
    };
    status.signals.iter().enumerate().map(part).collect()
}

fn destinations(status: &Status, history: &History, kept: &Params) -> (Vec<String>, Vec<Part>) {
    let mut found: BTreeMap<&str, Vec<(&Destination, f64)>> = BTreeMap::new();
    for signal in &status.signals {
        for to in &signal.log.destinations {
            found.entry(&to.name).or_default().push((to, signal.rate.last_minute));
        }
    }
    let part = |(name, of): (&&str, &Vec<(&Destination, f64)>)| {
        let values = history.destinations.get(*name).cloned().unwrap_or_default();
        let last = values.last_minute(history.step_seconds).unwrap_or(0.0);
        let waiting: u64 = of.iter().map(|(to, _)| to.waiting_items).sum();
        let lag = of.iter().map(|(to, _)| to.lag_seconds).fold(0.0, f64::max);
        let is_store = of.iter().any(|(to, _)| to.store);
        Part {
            href: kept.link(&format!("/flow/destination/{}", segment(name))),
            title: (*name).to_owned(),
            state: of.iter().map(|(to, rate)| state_of(to, *rate)).max().unwrap_or(State::Idle),
            lines: [
                rate(last),
                match waiting {
                    0 => "nothing waits".to_owned(),
                    _ if is_store => format!("{} to be sealed", number(waiting as f64)),
                    _ => format!("{} wait, {}", number(waiting as f64), duration(lag * 1e9)),
                },
            ],
            values,
        }
    };
    (found.keys().map(|name| (*name).to_owned()).collect(), found.iter().map(part).collect())
}

fn edge((from, y1): (usize, f64), (to, y2): (usize, f64), state: State) -> Markup {
    let (x1, x2) = (COLUMNS[from] + WIDTH, COLUMNS[to]);
    let (y1, y2, middle) = (y1 + HEIGHT / 2.0, y2 + HEIGHT / 2.0, (x1 + x2) / 2.0);
    html! { path class={ "edge " (state.class()) } d={ "M" (x1) " " (y1) "C" (middle) " " (y1) " " (middle) " " (y2) " " (x2) " " (y2) } {} }
}

fn draw_part(part: &Part, (x, y): (f64, f64)) -> Markup {
    let Part { href, title, state, lines, values } = part;
    html! {
        a class={ "part " (state.class()) } href=(href) {
            rect.box x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="6" {}
            rect.mark x=(x) y=(y) width="6" height=(HEIGHT) rx="3" {}
            text.name x=(x + 18.0) y=(y + 24.0) { (cut(title, 20)) }
            text.value x=(x + 18.0) y=(y + 48.0) { (lines[0]) }
            text.note x=(x + 92.0) y=(y + 48.0) { (lines[1]) }
            (chart::line_in(&values.0, (x + WIDTH - 92.0, y + 8.0), (82.0, 24.0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_say_how_a_destination_is() {
        let well = Destination::default();
        assert_eq!((state_of(&well, 0.0), state_of(&well, 1.0)), (State::Idle, State::Ok));
        let behind = Destination { lag_seconds: 61.0, ..well.clone() };
        assert_eq!(state_of(&behind, 1.0), State::Warn);
        let store = Destination { store: true, ..behind.clone() };
        assert_eq!(state_of(&store, 1.0), State::Ok, "what waits for a store is visible there");
        assert_eq!(state_of(&Destination { dropped_items: 1, ..well.clone() }, 1.0), State::Warn);
        assert_eq!(state_of(&Destination { dead_letters: 1, ..well.clone() }, 1.0), State::Warn);
        let failing = Destination { failing_since: Some("2026-01-01T00:00:00Z".to_owned()), ..behind };
        assert_eq!(state_of(&failing, 1.0), State::Bad);
    }
}
