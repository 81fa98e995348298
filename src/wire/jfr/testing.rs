//! Writes recordings: the format, for tests of its reader.

/// A field of a class: its name and class, whether it is a reference to a constant, and an array.
type Field = (&'static str, u64, bool, bool);

/// A recording of one chunk being written, with ticks of 100 ns.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    strings: Vec<String>,
    classes: Vec<(u64, &'static str, Vec<Field>)>,
    pools: Vec<(u64, u64, Vec<u8>)>,
    events: Vec<u8>,
}

pub(crate) const INT: u64 = 1;
pub(crate) const LONG: u64 = 2;
pub(crate) const STRING: u64 = 3;
pub(crate) const SYMBOL: u64 = 10;
pub(crate) const CLASS: u64 = 11;
pub(crate) const METHOD: u64 = 12;
pub(crate) const FRAME: u64 = 13;
pub(crate) const STACK: u64 = 14;
pub(crate) const STATE: u64 = 15;

/// A number as the format writes it.
pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..8 {
        if value < 0x80 {
            bytes.push(value as u8);
            return bytes;
        }
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn numbers(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| number(*value)).collect()
}

/// A text in place.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&[3][..], &number(text.len() as u64), text.as_bytes()].concat()
}

/// With its size before it, which counts itself.
fn sized(content: &[u8]) -> Vec<u8> {
    let size = content.len() + 4;
    let mut bytes: Vec<u8> = (0..3).map(|i| (size >> (7 * i)) as u8 | 0x80).collect();
    bytes.push((size >> 21) as u8);
    bytes.extend(content);
    bytes
}

impl Writer {
    /// With the types that every recording has.
    pub(crate) fn new() -> Self {
        let mut writer = Writer::default();
        writer.class(INT, "int", &[]).class(LONG, "long", &[]).class(STRING, "java.lang.String", &[]);
        writer.class(SYMBOL, "jdk.types.Symbol", &[("string", STRING, false, false)]);
        writer.class(CLASS, "java.lang.Class", &[("name", SYMBOL, true, false)]);
        writer.class(METHOD, "jdk.types.Method", &[("type", CLASS, true, false), ("name", SYMBOL, true, false)]);
        let frame = [("method", METHOD, true, false), ("lineNumber", INT, false, false)];
        writer.class(FRAME, "jdk.types.StackFrame", &frame);
        writer.class(
            STACK,
            "jdk.types.StackTrace",
            &[("truncated", INT, false, false), ("frames", FRAME, false, true)],
        );
        writer.class(STATE, "jdk.types.ThreadState", &[("name", STRING, false, false)]);
        writer
    }

    /// Describes a class: the names of its fields with their class, whether they are references to
    /// constants and whether they are arrays.
    pub(crate) fn class(&mut self, id: u64, name: &'static str, fields: &[Field]) -> &mut Self {
        self.classes.push((id, name, fields.to_vec()));
        self
    }

    pub(crate) fn constant(&mut self, class: u64, id: u64, value: Vec<u8>) -> &mut Self {
        self.pools.push((class, id, value));
        self
    }

    /// A method with its class and a stack of it alone.
    pub(crate) fn stack(&mut self, id: u64, frames: &[(u64, u64)]) -> &mut Self {
        let frames = frames.iter().flat_map(|(method, line)| numbers(&[*method, *line]));
        let frames: Vec<u8> = [numbers(&[0, frames.clone().count() as u64 / 2]), frames.collect()].concat();
        self.constant(STACK, id, frames)
    }

    pub(crate) fn method(&mut self, id: u64, class: &str, name: &str) -> &mut Self {
        self.constant(SYMBOL, id * 10, text(class));
        self.constant(SYMBOL, id * 10 + 1, text(name));
        self.constant(CLASS, id, number(id * 10));
        self.constant(METHOD, id, numbers(&[id, id * 10 + 1]))
    }

    pub(crate) fn event(&mut self, class: u64, fields: &[u8]) -> &mut Self {
        self.events.extend(sized(&[number(class), fields.to_vec()].concat()));
        self
    }

    fn string(&mut self, text: &str) -> Vec<u8> {
        let at = self.strings.iter().position(|string| string == text).unwrap_or_else(|| {
            self.strings.push(text.to_owned());
            self.strings.len() - 1
        });
        number(at as u64)
    }

    fn element(&mut self, name: &str, attributes: &[(&str, String)], children: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.string(name);
        bytes.extend(number(attributes.len() as u64));
        for (name, value) in attributes {
            bytes.extend(self.string(name));
            bytes.extend(self.string(value));
        }
        bytes.extend(number(children.len() as u64));
        bytes.extend(children.concat());
        bytes
    }

    fn metadata(&mut self) -> Vec<u8> {
        let mut classes = Vec::new();
        for (id, name, fields) in self.classes.clone() {
            let mut children = Vec::new();
            for (name, class, constant, array) in fields {
                let mut attributes = vec![("name", name.to_owned()), ("class", class.to_string())];
                attributes.extend(constant.then(|| ("constantPool", "true".to_owned())));
                attributes.extend(array.then(|| ("dimension", "1".to_owned())));
                children.push(self.element("field", &attributes, &[]));
            }
            classes.push(self.element("class", &[("id", id.to_string()), ("name", name.to_owned())], &children));
        }
        let metadata = self.element("metadata", &[], &classes);
        let region = self.element("region", &[], &[]);
        let root = self.element("root", &[], &[metadata, region]);
        let strings: Vec<u8> = self.strings.iter().flat_map(|string| text(string)).collect();
        sized(&[numbers(&[0, 0, 0, 1, self.strings.len() as u64]), strings, root].concat())
    }

    /// The constants in two pieces, of which the last names the first.
    fn constants(&self, at: u64) -> (Vec<u8>, u64) {
        let piece = |pools: &[(u64, u64, Vec<u8>)], delta: u64| {
            let mut content = numbers(&[1, 0, 0, delta]);
            content.push(0);
            content.extend(number(pools.len() as u64));
            for (class, id, value) in pools {
                content.extend(numbers(&[*class, 1, *id]));
                content.extend(value);
            }
            sized(&content)
        };
        let (first, second) = self.pools.split_at(self.pools.len() / 2);
        let mut bytes = piece(first, 0);
        let last = at + bytes.len() as u64;
        bytes.extend(piece(second, (bytes.len() as u64).wrapping_neg()));
        (bytes, last)
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let metadata = self.metadata();
        let events_end = 68 + self.events.len() as u64;
        let constants_at = events_end + metadata.len() as u64;
        let (constants, last) = self.constants(constants_at);
        let size = constants_at + constants.len() as u64;
        let mut chunk = b"FLR\0\0\x02\0\0".to_vec();
        for word in [size, last, events_end, 0, 0, 0, 10_000_000] {
            chunk.extend(word.to_be_bytes());
        }
        chunk.extend(1u32.to_be_bytes());
        chunk.extend(&self.events);
        chunk.extend(metadata);
        chunk.extend(constants);
        chunk
    }
}

/// The class of execution samples in [`shop`].
pub(crate) const EXECUTION: u64 = 100;

/// A recording of an application: two execution samples of a span, one of a thread asleep, a wait
/// of 5 microseconds, an allocation of 64 bytes.
pub(crate) fn shop(event: &str) -> Vec<u8> {
    let stack = ("stackTrace", STACK, true, false);
    let mut writer = Writer::new();
    writer.class(
        EXECUTION,
        "jdk.ExecutionSample",
        &[
            ("startTime", LONG, false, false),
            stack,
            ("state", STATE, true, false),
            ("contextId", LONG, false, false),
            ("spanId", LONG, false, false),
            ("spanName", LONG, false, false),
            ("traceIdHi", LONG, false, false),
            ("traceIdLo", LONG, false, false),
        ],
    );
    writer.class(
        101,
        "jdk.JavaMonitorEnter",
        &[("startTime", LONG, false, false), ("duration", LONG, false, false), stack],
    );
    writer.class(
        102,
        "jdk.ObjectAllocationInNewTLAB",
        &[stack, ("allocationSize", LONG, false, false), ("tlabSize", LONG, false, false)],
    );
    writer.class(103, "jdk.ActiveSetting", &[("name", STRING, false, false), ("value", STRING, false, false)]);
    writer.constant(STATE, 1, text("STATE_RUNNABLE")).constant(STATE, 2, text("STATE_SLEEPING"));
    writer.constant(STRING, 7, text("event"));
    writer.method(1, "shop/Main", "main").method(2, "shop/Cart$$Lambda$14/0x0800", "add");
    writer.stack(1, &[(2, 20), (1, 10)]).stack(2, &[(1, 11)]);
    writer.event(103, &[&[2, 7][..], &text(event)].concat());
    for _ in 0..2 {
        writer.event(EXECUTION, &numbers(&[1, 1, 1, 4, 0x0102_0304_0506_0708, 3, 1, 2]));
    }
    writer.event(EXECUTION, &numbers(&[2, 2, 2, 0, 0, 0, 0, 0]));
    writer.event(101, &numbers(&[1, 50, 2]));
    writer.event(102, &numbers(&[1, 24, 64]));
    writer.event(99, b"an event that nobody has described");
    writer.finish()
}
