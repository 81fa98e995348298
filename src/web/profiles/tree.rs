//! What called what, and how much of it, in one time or in two that are compared.

use std::collections::HashMap;

/// A function in the stack of another.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The function.
    pub label: String,
    /// What is in it and in all below it, now and in the time to compare with.
    pub value: [i64; 2],
    /// What is in it alone.
    pub own: [i64; 2],
    /// What it called.
    pub children: Vec<usize>,
    /// What called it; nothing for the root.
    pub parent: Option<usize>,
    /// A hash of the functions from the root to it: the same in each time.
    pub id: u64,
}

/// All of them; the first is the root, which stands for everything.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
    known: HashMap<u64, usize>,
}

/// What a function took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// In it alone, now and in the time to compare with.
    pub own: [i64; 2],
    /// In it and in all that it called, counted once where it called itself.
    pub total: [i64; 2],
}

impl Tree {
    /// With nothing in it.
    pub fn new() -> Self {
        Tree::of("total")
    }

    fn of(label: &str) -> Self {
        let id = xxhash_rust::xxh3::xxh3_64(label.as_bytes());
        let root = Node { label: label.to_owned(), value: [0; 2], own: [0; 2], children: Vec::new(), parent: None, id };
        Tree { nodes: vec![root], known: HashMap::from([(id, 0)]) }
    }

    /// The function of this name that `parent` called.
    pub fn child(&mut self, parent: usize, label: &str) -> usize {
        let id = xxhash_rust::xxh3::xxh3_64_with_seed(label.as_bytes(), self.nodes[parent].id);
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        let node = self.nodes.len();
        let parent_node = Some(parent);
        self.nodes.push(Node {
            label: label.to_owned(),
            value: [0; 2],
            own: [0; 2],
            children: Vec::new(),
            parent: parent_node,
            id,
        });
        self.nodes[parent].children.push(node);
        self.known.insert(id, node);
        node
    }

    /// Adds to a node: what is in it with all below, and in it alone.
    pub fn add(&mut self, node: usize, side: usize, (value, own): (i64, i64)) {
        let node = &mut self.nodes[node];
        node.value[side] = node.value[side].saturating_add(value);
        node.own[side] = node.own[side].saturating_add(own);
    }

    /// Adds a stack, its root first.
    pub fn add_stack<'a>(&mut self, stack: impl Iterator<Item = &'a str>, side: usize, value: i64) {
        let mut at = 0;
        self.add(at, side, (value, 0));
        for label in stack {
            at = self.child(at, label);
            self.add(at, side, (value, 0));
        }
        self.add(at, side, (0, value));
    }

    /// Makes each value what is in the node itself and in all below it.
    pub fn sum_up(&mut self, side: usize) {
        for node in &mut self.nodes {
            node.value[side] = node.own[side];
        }
        // Whatever is called comes after what calls it.
        for node in (1..self.nodes.len()).rev() {
            let value = self.nodes[node].value[side];
            if let Some(parent) = self.nodes[node].parent {
                self.add(parent, side, (value, 0));
            }
        }
    }

    /// The nodes, callers before what they call.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node.
    pub fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// The node of an id.
    pub fn find(&self, id: u64) -> Option<usize> {
        self.known.get(&id).copied()
    }

    /// All that there is, now (0) or in the time to compare with (1).
    pub fn total(&self, side: usize) -> i64 {
        self.nodes[0].value[side]
    }

    /// The functions on the way to a node, the root first, without the node itself.
    pub fn above(&self, node: usize) -> Vec<usize> {
        let mut above: Vec<usize> =
            std::iter::successors(self.nodes[node].parent, |at| self.nodes[*at].parent).collect();
        above.reverse();
        above
    }

    /// The nodes that are like that and have no such node above them.
    fn outermost(&self, is: impl Fn(&str) -> bool) -> Vec<usize> {
        let (mut found, mut open) = (Vec::new(), vec![0]);
        while let Some(node) = open.pop() {
            if node != 0 && is(&self.nodes[node].label) {
                found.push(node);
            } else {
                open.extend(&self.nodes[node].children);
            }
        }
        found
    }

    /// The share of what is in functions whose names have this text.
    pub fn share_of(&self, find: &str) -> f64 {
        let find = find.to_lowercase();
        let found = self.outermost(|label| label.to_lowercase().contains(&find));
        let sum: i64 = found.iter().map(|node| self.nodes[*node].value[0]).sum();
        sum as f64 / self.total(0).max(1) as f64
    }

    /// What each function took, by its name.
    pub fn functions(&self) -> HashMap<&str, Taken> {
        let mut taken: HashMap<&str, Taken> = HashMap::new();
        // How often each is on the way to where the walk is; leaving a node is marked by `true`.
        let mut inside: HashMap<&str, usize> = HashMap::new();
        let mut open = vec![(0, false)];
        while let Some((node, is_left)) = open.pop() {
            let Node { label, value, own, children, .. } = &self.nodes[node];
            let depth = inside.entry(label).or_default();
            if is_left {
                *depth -= 1;
                continue;
            }
            *depth += 1;
            let is_outermost = *depth == 1;
            if node != 0 {
                let entry = taken.entry(label).or_default();
                for side in 0..2 {
                    entry.own[side] += own[side];
                    entry.total[side] += if is_outermost { value[side] } else { 0 };
                }
            }
            open.push((node, true));
            open.extend(children.iter().map(|child| (*child, false)));
        }
        taken
    }

    /// A function with all that it called, wherever it is.
    pub fn callees(&self, function: &str) -> Tree {
        let mut callees = Tree::of(function);
        for top in self.outermost(|label| label == function) {
            let mut open = vec![(top, 0)];
            while let Some((node, into)) = open.pop() {
                for side in 0..2 {
                    callees.add(into, side, (self.nodes[node].value[side], self.nodes[node].own[side]));
                }
                for child in &self.nodes[node].children {
                    let below = callees.child(into, &self.nodes[*child].label);
                    open.push((*child, below));
                }
            }
        }
        callees
    }

    /// A function with what called it, and what called that.
    pub fn callers(&self, function: &str) -> Tree {
        let mut callers = Tree::of(function);
        for top in self.outermost(|label| label == function) {
            let value = self.nodes[top].value;
            let above = self.above(top);
            for (side, value) in value.into_iter().enumerate().filter(|(_, value)| *value != 0) {
                let names = above.iter().rev().filter(|node| **node != 0).map(|node| self.nodes[*node].label.as_str());
                callers.add_stack(names, side, value);
            }
        }
        callers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        for (stack, side, value) in [
            (&["main", "serve", "parse"][..], 0, 30),
            (&["main", "serve", "parse", "serve", "parse"], 0, 20),
            (&["main", "wait"], 0, 40),
            (&["main"], 0, 10),
            (&["main", "wait"], 1, 5),
            (&["init", "parse"], 1, 2),
        ] {
            tree.add_stack(stack.iter().copied(), side, value);
        }
        tree
    }

    #[test]
    fn functions_that_call_themselves_are_counted_once() {
        let tree = tree();
        assert_eq!((tree.total(0), tree.total(1)), (100, 7));
        let functions = tree.functions();
        assert_eq!(functions["main"], Taken { own: [10, 0], total: [100, 5] });
        assert_eq!(functions["serve"], Taken { own: [0, 0], total: [50, 0] });
        assert_eq!(functions["parse"], Taken { own: [50, 2], total: [50, 2] });
        assert!((tree.share_of("SERV") - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_called_a_function_and_what_it_called() {
        let tree = tree();
        let callees = tree.callees("serve");
        assert_eq!((callees.total(0), callees.node(0).label.as_str()), (50, "serve"));
        let parse = callees.node(callees.node(0).children[0]);
        assert_eq!((parse.label.as_str(), parse.value, parse.own), ("parse", [50, 0], [30, 0]));
        let callers = tree.callers("parse");
        assert_eq!((callers.total(0), callers.total(1)), (50, 2));
        let mut names: Vec<(&str, i64)> = callers
            .node(0)
            .children
            .iter()
            .map(|node| callers.node(*node))
            .map(|node| (node.label.as_str(), node.value[0]))
            .collect();
        names.sort_unstable();
        assert_eq!(names, [("init", 0), ("serve", 50)]);
        assert_eq!(tree.callees("nobody").total(0), 0);
    }

    #[test]
    fn a_stack_may_be_deep() {
        let mut tree = Tree::new();
        let names: Vec<String> = (0..20_000).map(|n| format!("f{}", n % 100)).collect();
        tree.add_stack(names.iter().map(String::as_str), 0, 1);
        assert_eq!(tree.functions()["f7"].total, [1, 0]);
        assert_eq!(tree.callers("f99").total(0), 1);
    }
}
