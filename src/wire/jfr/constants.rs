//! The pools of constants that events refer to: stacks, methods, classes, symbols.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::JfrError;
use super::cursor::{Cursor, Text};
use super::metadata::{Scalar, Types};

/// Frames of all stacks of a chunk. Each takes four bytes of the recording or more, and sixteen
/// here.
const MAX_FRAMES: usize = 4 << 20;

/// Constants of a chunk. Each takes three bytes of the recording or more, and some forty here.
const MAX_CONSTANTS: usize = 1 << 20;

/// Pools are written in pieces, each of which names the one before.
const MAX_CHECKPOINTS: usize = 10_000;

/// One level of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StackFrame {
    /// Reference to a method.
    pub method: u64,
    /// Line in the source; 0 is not known.
    pub line: u32,
}

/// The constants of a chunk, by their ids.
#[derive(Debug, Default)]
pub struct Constants<'a> {
    symbols: HashMap<u64, Cow<'a, str>>,
    strings: HashMap<u64, Cow<'a, str>>,
    states: HashMap<u64, Cow<'a, str>>,
    /// The symbol of a class's name.
    classes: HashMap<u64, u64>,
    /// Class, and the symbol of the method's name.
    methods: HashMap<u64, (u64, u64)>,
    stacks: HashMap<u64, Range<usize>>,
    frames: Vec<StackFrame>,
    /// How many constants have been read, those of no interest too.
    count: usize,
}

impl<'a> Constants<'a> {
    /// Reads all pools, the last of which begins at byte `at` of the chunk.
    pub(super) fn read(cursor: &mut Cursor<'a>, at: usize, types: &Types) -> Result<Self, JfrError> {
        let mut constants = Constants::default();
        let mut visited = HashSet::new();
        let mut at = Some(at);
        while let Some(start) = at {
            if visited.len() == MAX_CHECKPOINTS || !visited.insert(start) {
                return Err(cursor.fail("the constants refer to one another without end"));
            }
            cursor.seek(start)?;
            let delta = constants.checkpoint(cursor, types)?;
            let before = isize::try_from(delta).ok().and_then(|delta| start.checked_add_signed(delta));
            at = match delta {
                0 => None,
                _ => Some(before.ok_or_else(|| cursor.fail("the constants before these are outside of the chunk"))?),
            };
        }
        Ok(constants)
    }

    /// Reads the pools of one piece. Returns how far away the one before begins; 0 is none.
    fn checkpoint(&mut self, cursor: &mut Cursor<'a>, types: &Types) -> Result<i64, JfrError> {
        let start = cursor.position();
        let size = cursor.number()?;
        cursor.limit(start, size)?;
        // Type of the event, start, duration.
        for _ in 0..3 {
            cursor.number()?;
        }
        let delta = cursor.number()?.cast_signed();
        // What the piece is for.
        cursor.take(1)?;
        for _ in 0..cursor.count()? {
            let class = cursor.number()?;
            for _ in 0..cursor.count()? {
                cursor.step()?;
                let id = cursor.number()?;
                self.constant(cursor, types, class, id)?;
            }
        }
        Ok(delta)
    }

    fn constant(&mut self, cursor: &mut Cursor<'a>, types: &Types, class: u64, id: u64) -> Result<(), JfrError> {
        self.count += 1;
        if self.count > MAX_CONSTANTS {
            return Err(cursor.fail("the chunk has more than a million constants"));
        }
        let mut texts = Texts::default();
        let mut numbers = [("type", 0), ("name", 0)];
        match types.name(class) {
            Some("jdk.types.StackTrace") => return self.stack(cursor, types, class, id),
            Some("jdk.types.Symbol" | "jdk.types.ThreadState" | "java.lang.String") => {
                types.object(cursor, class, |name, value| texts.take(name, value))?;
            }
            _ => types.object(cursor, class, |name, value| pick(&mut numbers, name, &value))?,
        }
        let [(_, of), (_, name)] = numbers;
        match types.name(class) {
            Some("jdk.types.Symbol") => _ = self.symbols.entry(id).or_insert(texts.0),
            Some("jdk.types.ThreadState") => _ = self.states.entry(id).or_insert(texts.0),
            Some("java.lang.String") => _ = self.strings.entry(id).or_insert(texts.0),
            Some("java.lang.Class") => _ = self.classes.entry(id).or_insert(name),
            Some("jdk.types.Method") => _ = self.methods.entry(id).or_insert((of, name)),
            _ => {}
        }
        Ok(())
    }

    fn stack(&mut self, cursor: &mut Cursor<'a>, types: &Types, class: u64, id: u64) -> Result<(), JfrError> {
        let first = self.frames.len();
        for field in types.fields(cursor, class)? {
            if &*field.name != "frames" {
                types.value(cursor, field)?;
                continue;
            }
            types.elements(cursor, field, |cursor, class| {
                let mut numbers = [("method", 0), ("lineNumber", 0)];
                types.object(cursor, class, |name, value| pick(&mut numbers, name, &value))?;
                if self.frames.len() == MAX_FRAMES {
                    return Err(cursor.fail("the stacks have more than four million frames"));
                }
                let [(_, method), (_, line)] = numbers;
                self.frames.push(StackFrame { method, line: u32::try_from(line).unwrap_or_default() });
                Ok(())
            })?;
        }
        self.stacks.entry(id).or_insert(first..self.frames.len());
        Ok(())
    }

    /// The frames of a stack, the running one first; `None` if there is no such stack.
    pub fn stack_frames(&self, stack: u64) -> Option<&[StackFrame]> {
        self.stacks.get(&stack).map(|range| &self.frames[range.clone()])
    }

    /// The names of a method and of its class, as the virtual machine writes them
    /// (`java/lang/Thread`); `None` if there is no such method.
    pub fn method(&self, method: u64) -> Option<(&str, &str)> {
        let (class, name) = self.methods.get(&method)?;
        let class = self.classes.get(class).and_then(|symbol| self.symbols.get(symbol));
        let name = self.symbols.get(name);
        Some((class.map_or("", AsRef::as_ref), name.map_or("", AsRef::as_ref)))
    }

    /// What a thread did: `STATE_RUNNABLE`, `STATE_SLEEPING`, ...
    pub fn thread_state(&self, state: u64) -> Option<&str> {
        self.states.get(&state).map(AsRef::as_ref)
    }

    /// A text of an event.
    pub(super) fn text(&self, text: Text<'a>) -> Cow<'a, str> {
        match text {
            Text::Here(text) => text,
            Text::Constant(id) => self.strings.get(&id).cloned().unwrap_or_default(),
        }
    }
}

/// The one text of a symbol, a state or a string.
#[derive(Default)]
struct Texts<'a>(Cow<'a, str>);

impl<'a> Texts<'a> {
    fn take(&mut self, name: &str, value: Scalar<'a>) {
        if let ("string" | "name" | "", Scalar::Text(Text::Here(text))) = (name, value) {
            self.0 = text;
        }
    }
}

/// Keeps the numbers that are wanted.
pub(super) fn pick(wanted: &mut [(&'static str, u64)], name: &str, value: &Scalar<'_>) {
    if let Scalar::Number(number) = value
        && let Some((_, slot)) = wanted.iter_mut().find(|(wanted, _)| *wanted == name)
    {
        *slot = *number;
    }
}
