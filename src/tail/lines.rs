//! What waits for the reader of one tail.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Lines that wait for a reader.
const MAX_LINES: usize = 1000;

/// Bytes of lines that wait for a reader.
const MAX_BYTES: usize = 1 << 20;

/// A reader is told of what it lost at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An item as JSON, without the end of line.
    Line(String),
    /// What it did not get since it was told last.
    Lost(Lost),
}

/// What a reader did not get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Lost {
    /// Items that it wanted: it reads too slowly, or there were more in a second than it asked for.
    pub lines: u64,
    /// Items that were not looked at, of which it may have wanted some: more came in than there was time for.
    pub not_examined: u64,
}

/// The lines of a tail.
#[derive(Debug)]
pub struct Lines {
    /// Lines that are taken in a second.
    rate: u32,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug)]
struct Waiting {
    lines: VecDeque<String>,
    bytes: usize,
    lost: Lost,
    told: Option<Instant>,
    /// When the second began in which lines are counted, and how many there were.
    second: (Instant, u32),
    closed: bool,
}

/// What there is for a reader.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Event(Event),
    /// Nothing before something changes; what was lost is told then.
    Nothing {
        tell_at: Option<Instant>,
    },
    End,
}

impl Waiting {
    fn add(&mut self, rate: u32, now: Instant, line: impl FnOnce() -> String) {
        if now.duration_since(self.second.0) >= Duration::from_secs(1) {
            self.second = (now, 0);
        }
        if self.second.1 >= rate || self.lines.len() >= MAX_LINES || self.bytes >= MAX_BYTES {
            self.lost.lines += 1;
            return;
        }
        self.second.1 += 1;
        let line = line();
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    fn take(&mut self, now: Instant) -> Found {
        let has_lost = self.lost != Lost::default();
        let tell_at = self.told.map(|told| told + TELL_EVERY).filter(|at| *at > now);
        if has_lost && tell_at.is_none() {
            self.told = Some(now);
            return Found::Event(Event::Lost(std::mem::take(&mut self.lost)));
        }
        match self.lines.pop_front() {
            Some(line) => {
                self.bytes -= line.len();
                Found::Event(Event::Line(line))
            }
            None if self.closed => Found::End,
            None => Found::Nothing { tell_at: tell_at.filter(|_| has_lost) },
        }
    }
}

impl Lines {
    /// None yet. At most `rate` are taken in a second.
    pub fn new(rate: u32) -> Self {
        let waiting = Waiting {
            lines: VecDeque::new(),
            bytes: 0,
            lost: Lost::default(),
            told: None,
            second: (Instant::now(), 0),
            closed: false,
        };
        Lines { rate, waiting: Mutex::new(waiting), changed: Notify::new() }
    }

    /// Adds a line, which is only made if there is room for it. What finds none is counted.
    pub fn add(&self, line: impl FnOnce() -> String) {
        self.waiting.lock().add(self.rate, Instant::now(), line);
        self.changed.notify_one();
    }

    /// So many items were not looked at.
    pub fn not_examined(&self, items: u64) {
        self.waiting.lock().lost.not_examined += items;
        self.changed.notify_one();
    }

    /// Nothing comes any more.
    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for what is next; nothing at the end. One reader at a time.
    pub async fn next(&self) -> Option<Event> {
        loop {
            let found = self.waiting.lock().take(Instant::now());
            match found {
                Found::Event(event) => return Some(event),
                Found::End => return None,
                Found::Nothing { tell_at: None } => self.changed.notified().await,
                Found::Nothing { tell_at: Some(at) } => {
                    let _ = tokio::time::timeout_at(at, self.changed.notified()).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: impl ToString) -> Found {
        Found::Event(Event::Line(text.to_string()))
    }

    fn lost(lines: u64, not_examined: u64) -> Found {
        Found::Event(Event::Lost(Lost { lines, not_examined }))
    }

    #[test]
    fn a_reader_is_told_what_it_lost() {
        let lines = Lines::new(u32::MAX);
        for n in 0..MAX_LINES + 7 {
            lines.add(|| n.to_string());
        }
        let mut waiting = lines.waiting.into_inner();
        let now = Instant::now();
        assert_eq!(waiting.take(now), lost(7, 0));
        assert_eq!(waiting.take(now), line(0));
        waiting.lost.not_examined += 5;
        // Not again within the second.
        for n in 1..MAX_LINES {
            assert_eq!(waiting.take(now), line(n));
        }
        let tell_at = Some(now + TELL_EVERY);
        assert_eq!(waiting.take(now), Found::Nothing { tell_at });
        waiting.add(u32::MAX, now, || "last".to_owned());
        waiting.closed = true;
        assert_eq!(waiting.take(now + TELL_EVERY), lost(0, 5));
        assert_eq!(waiting.take(now + TELL_EVERY), line("last"));
        assert_eq!(waiting.take(now + TELL_EVERY), Found::End);
    }

    #[test]
    fn bytes_and_rate_are_bounded() {
        let large = Lines::new(u32::MAX);
        for _ in 0..100 {
            large.add(|| "x".repeat(100_000));
        }
        // The last one may go beyond the bound.
        assert_eq!(large.waiting.into_inner().take(Instant::now()), lost(89, 0));
        let mut slow = Lines::new(2).waiting.into_inner();
        let start = slow.second.0;
        for second in 1..4 {
            let now = start + Duration::from_secs(second);
            for n in 0..5 {
                slow.add(2, now, || n.to_string());
            }
            assert_eq!([slow.take(now), slow.take(now), slow.take(now)], [lost(3, 0), line(0), line(1)]);
            assert!(slow.lines.is_empty());
        }
    }
}
