//! The words of a text, only to tell its statements from each other and to know those that are no query. What a
//! query means is for DuckDB alone to say ([`crate::store::sql::parse`]): each part is judged there as a whole,
//! so a wrong cut here gives an error and nothing else.

/// A word, or what stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bare letters and digits.
    Word,
    /// In double quotes.
    Quoted,
    /// In single quotes, or between dollar signs.
    Text,
    /// One character of any other kind.
    Symbol,
}

/// A word with its place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As it stands there.
    pub text: &'a str,
    /// Its first byte.
    pub at: usize,
}

impl Token<'_> {
    /// Whether it is this bare word, in any case.
    pub fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this character.
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// What it says: a bare word in lower case, the others without their quotes.
    pub fn value(&self) -> String {
        match self.kind {
            Kind::Word => self.text.to_ascii_lowercase(),
            Kind::Quoted => unquoted(self.text, '"'),
            Kind::Text => match self.text.find('\'') {
                Some(start) if !self.text.starts_with('$') => unquoted(&self.text[start..], '\''),
                _ => {
                    let tag = self.text[1..].find('$').map_or(0, |end| end + 2);
                    self.text.get(tag..self.text.len().saturating_sub(tag)).unwrap_or_default().to_owned()
                }
            },
            Kind::Symbol => self.text.to_owned(),
        }
    }
}

fn unquoted(text: &str, quote: char) -> String {
    let inner = text.strip_prefix(quote).unwrap_or(text);
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    inner.replace(&format!("{quote}{quote}"), &quote.to_string())
}

/// The words of a text, without comments.
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// From its start.
    pub fn new(text: &'a str) -> Self {
        Lexer { text, at: 0 }
    }

    /// Up to and with what ends it; to the end of the text if nothing does.
    fn until(&self, from: usize, end: &str) -> usize {
        self.text[from..].find(end).map_or(self.text.len(), |found| from + found + end.len())
    }

    fn quoted(&self, from: usize, quote: u8, escapes: bool) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = from;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if escapes => at += 1,
                byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 1,
                byte if byte == quote => return at + 1,
                _ => {}
            }
            at += 1;
        }
        bytes.len()
    }

    fn blank(&self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        loop {
            let rest = &self.text[at..];
            if rest.starts_with("--") {
                at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                at = self.comment(at);
            } else if let Some(c) = rest.chars().next().filter(|c| c.is_whitespace() || *c == '\u{feff}') {
                at += c.len_utf8();
            } else {
                return at.min(bytes.len());
            }
        }
    }

    /// Comments nest.
    fn comment(&self, from: usize) -> usize {
        let bytes = self.text.as_bytes();
        let (mut at, mut depth) = (from, 0_usize);
        while at < bytes.len() {
            match bytes.get(at..at + 2) {
                Some(b"/*") => (at, depth) = (at + 2, depth + 1),
                Some(b"*/") => {
                    (at, depth) = (at + 2, depth - 1);
                    if depth == 0 {
                        return at;
                    }
                }
                _ => at += 1,
            }
        }
        bytes.len()
    }

    /// `$tag$` at this place: its length.
    fn dollar(&self, at: usize) -> Option<usize> {
        let rest = &self.text[at + 1..];
        let end = rest.find('$')?;
        let tag = &rest[..end];
        let is_tag = !tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(is_word);
        is_tag.then_some(end + 2)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let at = self.blank(self.at);
        let first = self.text[at..].chars().next()?;
        let (kind, end) = match first {
            '\'' => (Kind::Text, self.quoted(at + 1, b'\'', false)),
            '"' => (Kind::Quoted, self.quoted(at + 1, b'"', false)),
            '$' => match self.dollar(at) {
                Some(length) => (Kind::Text, self.until(at + length, &self.text[at..at + length])),
                None => (Kind::Symbol, at + 1),
            },
            c if is_word(c) => {
                let rest = &self.text[at..];
                let end = at + rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len());
                let escapes = rest[..end - at].eq_ignore_ascii_case("e");
                if escapes && self.text[end..].starts_with('\'') {
                    (Kind::Text, self.quoted(end + 1, b'\'', true))
                } else {
                    (Kind::Word, end)
                }
            }
            c => (Kind::Symbol, at + c.len_utf8()),
        };
        self.at = end;
        Some(Token { kind, text: &self.text[at..end], at })
    }
}

/// The statements of a text, each with its first byte. What has no word is none.
pub fn statements(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut part: Option<(usize, usize)> = None;
    for token in Lexer::new(text) {
        if token.is_symbol(";") {
            found.extend(part.take().map(|(start, end)| (start, &text[start..end])));
        } else {
            let end = token.at + token.text.len();
            part = Some((part.map_or(token.at, |(start, _)| start), end));
        }
    }
    found.extend(part.map(|(start, end)| (start, &text[start..end])));
    found
}

/// The largest number of a parameter (`$1`).
pub fn parameters(text: &str) -> usize {
    let mut largest = 0;
    let mut sign: Option<usize> = None;
    for token in Lexer::new(text) {
        if sign == Some(token.at)
            && let Ok(number) = token.text.parse::<usize>()
        {
            largest = largest.max(number);
        }
        sign = token.is_symbol("$").then_some(token.at + 1);
    }
    largest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_are_told_from_each_other() {
        let texts = |text: &'static str| statements(text).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts("SELECT 1; SELECT ';'"), ["SELECT 1", "SELECT ';'"]);
        assert_eq!(texts("a;;b ;"), ["a", "b"]);
        for nothing in ["", " ;; ", "-- ping", "/* a; /* b */ c */", "--a;\r\n;", "\u{feff}"] {
            assert_eq!(texts(nothing), [""; 0], "{nothing:?}");
        }
        for one in [
            "'it''s;' || \"a\"\";\"",
            "E'\\';' || 'b'",
            "$$ a;b $$",
            "$x$ ; $y$ ; $x$",
            "x -- ;\n + 1",
            "'open ;",
            "SELECT $1, $2",
            "a$b;".trim_end_matches(';'),
        ] {
            assert_eq!(texts(one), [one.trim_end()], "{one}");
        }
        assert_eq!(statements(" /* c */ x ;y"), [(9, "x"), (12, "y")]);
    }

    #[test]
    fn parameters_are_counted() {
        for (text, count) in [("SELECT $1, $12::int", 12), ("'$3' /* $4 */ $2", 2), ("$ 1", 0), ("a$1 $x$ $5 $x$", 0)] {
            assert_eq!(parameters(text), count, "{text}");
        }
    }

    #[test]
    fn values() {
        let values: Vec<String> =
            Lexer::new("SeT \"A\"\"b\" 'it''s' E'x' $t$y$t$ = 5.5").map(|token| token.value()).collect();
        assert_eq!(values, ["set", "A\"b", "it's", "x", "y", "=", "5", ".", "5"]);
    }

    proptest! {
        #[test]
        fn no_text_ends_it(text in "[a-eE$'\"/*; \n\\-é1]{0,40}") {
            let mut end = 0;
            for token in Lexer::new(&text) {
                prop_assert!(token.at >= end);
                end = token.at + token.text.len();
                let _ = token.value();
            }
            let _ = statements(&text);
        }
    }
}
