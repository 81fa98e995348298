//! The spans of one trace as a tree: its order, what is folded, and the critical path.
//!
//! Traces may be large and deep, so nothing here recurs.

use std::collections::{HashMap, HashSet};

/// What the tree knows of a span. Times are in nanoseconds since the first span of the trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Span {
    /// Its id in hex; empty for one without.
    pub id: String,
    /// Its parent's id; empty for a root.
    pub parent: String,
    /// Whether it is the server's half of a call: it stands below a client's half with the same id.
    pub is_server: bool,
    /// Its start; nothing if it is unknown.
    pub offset: Option<i64>,
    /// Its duration; nothing while its end is unknown.
    pub duration: Option<i64>,
    /// Whether it failed.
    pub is_error: bool,
    /// The place of its service in the order of first appearance.
    pub service: usize,
}

impl Span {
    fn start(&self) -> i64 {
        self.offset.unwrap_or(0)
    }

    fn end(&self) -> i64 {
        self.start().saturating_add(self.duration.unwrap_or(0))
    }
}

/// A row of the waterfall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which span.
    pub span: usize,
    /// How many spans are above it.
    pub depth: usize,
    /// How many spans are below it, at all depths.
    pub below: usize,
}

/// The spans in the order of the waterfall.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Parents before their children, children by their start.
    pub rows: Vec<Row>,
    /// Spans that the duration of the trace depends on.
    pub critical: HashSet<usize>,
    children: Vec<Vec<usize>>,
}

impl Tree {
    /// The tree of these spans. Those whose parent is not there, or is a ring of parents, are roots.
    pub fn new(spans: &[Span]) -> Self {
        let parents = parents(spans);
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut roots = Vec::new();
        for (span, parent) in parents.iter().enumerate() {
            match parent {
                Some(parent) => children[*parent].push(span),
                None => roots.push(span),
            }
        }
        roots.sort_by_key(|span| spans[*span].start());
        for below in &mut children {
            below.sort_by_key(|span| spans[*span].start());
        }
        let rows = order(&roots, &children);
        let critical = critical_path(spans, &roots, &children);
        Tree { rows, critical, children }
    }

    /// The rows that are left if everything below those that are folded is left out.
    pub fn unfolded(&self, is_folded: impl Fn(&Row) -> bool) -> Vec<Row> {
        let mut left = Vec::new();
        let mut n = 0;
        while let Some(row) = self.rows.get(n) {
            left.push(*row);
            n += if is_folded(row) { row.below + 1 } else { 1 };
        }
        left
    }

    /// The rows of these spans and of all above them.
    pub fn only(&self, wanted: &HashSet<usize>) -> Vec<Row> {
        let mut left = Vec::new();
        let mut above: Vec<(usize, Row)> = Vec::new();
        for (n, row) in self.rows.iter().enumerate() {
            above.retain(|(end, _)| n <= *end);
            if wanted.contains(&row.span) {
                left.extend(above.drain(..).map(|(_, row)| row));
                left.push(*row);
            } else if row.below > 0 {
                above.push((n + row.below, *row));
            }
        }
        left
    }

    /// The time of a span in which none of its children ran.
    pub fn own_time(&self, spans: &[Span], span: usize) -> i64 {
        let (start, end) = (spans[span].start(), spans[span].end());
        let mut covered = 0;
        let mut upto = start;
        // They are in the order of their starts.
        for child in &self.children[span] {
            let (from, to) = (spans[*child].start().max(upto), spans[*child].end().min(end));
            if to > from {
                covered += to - from;
                upto = to;
            }
        }
        (end - start - covered).max(0)
    }
}

/// The parent of each span; nothing for roots and for one span of each ring.
fn parents(spans: &[Span]) -> Vec<Option<usize>> {
    let mut by_id: HashMap<&str, (Option<usize>, Option<usize>)> = HashMap::new();
    for (n, span) in spans.iter().enumerate().filter(|(_, span)| !span.id.is_empty()) {
        let halves = by_id.entry(&span.id).or_default();
        let half = if span.is_server { &mut halves.1 } else { &mut halves.0 };
        half.get_or_insert(n);
    }
    let mut parents: Vec<Option<usize>> = spans
        .iter()
        .enumerate()
        .map(|(n, span)| {
            let shared = by_id.get(span.id.as_str()).and_then(|(other, _)| *other);
            if span.is_server && shared.is_some_and(|other| other != n) {
                return shared;
            }
            let (other, server) = by_id.get(span.parent.as_str())?;
            server.or(*other).filter(|parent| *parent != n)
        })
        .collect();
    // 0: not looked at, else the walk in which it was seen.
    let mut seen = vec![0; spans.len()];
    for start in 0..spans.len() {
        let (mut at, walk) = (Some(start), start + 1);
        while let Some(span) = at.filter(|span| seen[*span] == 0) {
            seen[span] = walk;
            at = parents[span];
            if at.is_some_and(|above| seen[above] == walk) {
                parents[span] = None;
                at = None;
            }
        }
    }
    parents
}

/// Depth first.
fn order(roots: &[usize], children: &[Vec<usize>]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(children.len());
    let mut open: Vec<(usize, usize)> = roots.iter().rev().map(|root| (*root, 0)).collect();
    while let Some((span, depth)) = open.pop() {
        rows.push(Row { span, depth, below: 0 });
        open.extend(children[span].iter().rev().map(|child| (*child, depth + 1)));
    }
    // How far each reaches: to the next row that is not deeper.
    let mut above: Vec<usize> = Vec::new();
    for n in 0..=rows.len() {
        let depth = rows.get(n).map(|row| row.depth);
        while let Some(last) = above.last().copied().filter(|last| depth.is_none_or(|depth| rows[*last].depth >= depth))
        {
            rows[last].below = n - last - 1;
            above.pop();
        }
        above.push(n);
    }
    rows
}

/// The spans that the end of the trace has waited for: from the end of a root backwards, always the child
/// that ended last before that moment.
fn critical_path(spans: &[Span], roots: &[usize], children: &[Vec<usize>]) -> HashSet<usize> {
    let mut critical = HashSet::new();
    let Some(longest) = roots.iter().max_by_key(|root| spans[**root].end() - spans[**root].start()) else {
        return critical;
    };
    let mut open = vec![(*longest, spans[*longest].end())];
    while let Some((span, end)) = open.pop() {
        critical.insert(span);
        let mut upto = end;
        let mut below: Vec<usize> = children[span].clone();
        below.sort_by_key(|child| std::cmp::Reverse(spans[*child].end()));
        for child in below {
            let (from, to) = (spans[child].start(), spans[child].end());
            // What goes on after its parent is not waited for.
            if to <= upto && to > from && from >= spans[span].start() {
                open.push((child, to));
                upto = from;
            }
        }
    }
    critical
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, offset: i64, duration: i64) -> Span {
        Span {
            id: id.to_owned(),
            parent: parent.to_owned(),
            offset: Some(offset),
            duration: Some(duration),
            ..Span::default()
        }
    }

    fn shown(spans: &[Span], rows: &[Row]) -> Vec<String> {
        rows.iter().map(|row| format!("{}{}:{}", "-".repeat(row.depth), spans[row.span].id, row.below)).collect()
    }

    #[test]
    fn depth_first_by_time() {
        let spans = [
            span("a", "", 0, 100),
            span("c", "a", 50, 40),
            span("b", "a", 10, 30),
            span("d", "b", 12, 5),
            span("lost", "nobody", 5, 1),
        ];
        let tree = Tree::new(&spans);
        assert_eq!(shown(&spans, &tree.rows), ["a:3", "-b:1", "--d:0", "-c:0", "lost:0"]);
        assert_eq!(shown(&spans, &tree.unfolded(|row| row.span == 2)), ["a:3", "-b:1", "-c:0", "lost:0"]);
        assert_eq!(shown(&spans, &tree.unfolded(|row| row.depth == 0)), ["a:3", "lost:0"]);
        assert_eq!(shown(&spans, &tree.only(&HashSet::from([3]))), ["a:3", "-b:1", "--d:0"]);
        assert_eq!(shown(&spans, &tree.only(&HashSet::from([1, 4]))), ["a:3", "-c:0", "lost:0"]);
        assert_eq!(tree.own_time(&spans, 0), 30);
        assert_eq!(tree.own_time(&spans, 2), 25);
        assert_eq!(tree.critical, HashSet::from([0, 1, 2, 3]));
    }

    #[test]
    fn what_is_not_waited_for_is_not_critical() {
        let spans = [
            span("root", "", 0, 100),
            span("short", "root", 10, 20),
            span("long", "root", 5, 90),
            span("after", "root", 90, 500),
            span("in long", "long", 6, 50),
        ];
        let tree = Tree::new(&spans);
        assert_eq!(tree.critical, HashSet::from([0, 2, 4]));
    }

    #[test]
    fn halves_of_a_call_and_rings_of_parents() {
        let server = Span { is_server: true, ..span("call", "front", 1, 8) };
        let spans = [span("front", "", 0, 10), server, span("call", "front", 0, 10), span("query", "call", 2, 1)];
        let tree = Tree::new(&spans);
        assert_eq!(shown(&spans, &tree.rows), ["front:3", "-call:2", "--call:1", "---query:0"]);
        let ring = [span("x", "y", 0, 1), span("y", "x", 0, 1), span("self", "self", 0, 1), span("", "", 0, 1)];
        let tree = Tree::new(&ring);
        assert_eq!(tree.rows.len(), 4);
        assert_eq!(tree.rows.iter().filter(|row| row.depth == 0).count(), 3);
    }

    #[test]
    fn a_trace_may_be_large_and_deep() {
        let name = |n: usize| format!("{n:x}");
        let deep: Vec<Span> = (0..50_000)
            .map(|n| span(&name(n + 1), &if n == 0 { String::new() } else { name(n) }, n as i64, 100_000))
            .collect();
        let tree = Tree::new(&deep);
        assert_eq!((tree.rows.len(), tree.rows[49_999].depth, tree.rows[0].below), (50_000, 49_999, 49_999));
        let wide: Vec<Span> =
            (0..50_000).map(|n| span(&name(n + 1), if n == 0 { "" } else { "1" }, n as i64, 1)).collect();
        assert_eq!(Tree::new(&wide).rows[0].below, 49_999);
    }
}
