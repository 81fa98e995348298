//! A tree as a picture in which each function is as wide as what it took.
//!
//! Each frame is an SVG of its own inside the picture: so widths are shares of the place that there is, and text is cut
//! where its frame ends.

use maud::{Markup, html};

use super::table::{amount, percent};
use super::tree::Tree;
use crate::web::params::Params;
use crate::web::text::cut;

/// Frames at most: the widest are drawn.
const FRAMES: usize = 1500;

/// The narrowest frame, of a picture that is one wide: a pixel or so.
const NARROWEST: f64 = 0.0008;

/// The narrowest frame that has its name in it.
const NAMED: f64 = 0.015;

/// The narrowest frame that the Tab key stops at; the table has all functions.
const STOP: f64 = 0.1;

/// Height of a frame.
const HEIGHT: usize = 20;

/// How a tree is drawn.
pub struct Graph<'a> {
    /// The unit of its values.
    pub unit: &'a str,
    /// Whether two times are compared.
    pub is_compared: bool,
    /// What is looked for in names.
    pub find: Option<&'a str>,
    /// The page's parameters.
    pub params: &'a Params,
    /// The page's path.
    pub path: &'a str,
}

/// A frame in its place.
struct Frame {
    node: usize,
    level: usize,
    x: f64,
    width: f64,
}

impl Graph<'_> {
    /// The picture; `id` is of the frame that is as wide as the picture.
    pub fn draw(&self, tree: &Tree, id: Option<u64>, label: &str) -> Markup {
        let top = id.and_then(|id| tree.find(id)).unwrap_or(0);
        let frames = self.frames(tree, top);
        let levels = frames.iter().map(|frame| frame.level).max().unwrap_or(0) + 1;
        html! {
            div.scroll tabindex="0" role="region" aria-label=(label) {
                svg.flame width="100%" height=(levels * HEIGHT) role="group" aria-label=(label) {
                    @for frame in &frames { (self.frame(tree, frame, top)) }
                }
            }
        }
    }

    /// The share of a node, of the picture that `top` is as wide as.
    fn share(&self, tree: &Tree, node: usize, top: usize) -> f64 {
        let (value, all) = (tree.node(node).value, tree.node(top).value);
        let share = |side: usize| value[side] as f64 / all[side] as f64;
        match (all[0] > 0, all[1] > 0 && self.is_compared) {
            (true, true) => {
                // Both times count alike, however much there was in each.
                (share(0) + share(1)) / 2.0
            }
            (true, false) => share(0),
            (false, true) => share(1),
            (false, false) => 0.0,
        }
    }

    fn frames(&self, tree: &Tree, top: usize) -> Vec<Frame> {
        let above = tree.above(top);
        let mut frames: Vec<Frame> =
            above.iter().enumerate().map(|(level, node)| Frame { node: *node, level, x: 0.0, width: 1.0 }).collect();
        let mut open = vec![Frame { node: top, level: above.len(), x: 0.0, width: 1.0 }];
        while let Some(frame) = open.pop() {
            let mut children = tree.node(frame.node).children.clone();
            children.sort_by(|a, b| tree.node(*a).label.cmp(&tree.node(*b).label));
            let mut x = frame.x;
            for child in children {
                let width = self.share(tree, child, top);
                if width >= NARROWEST {
                    open.push(Frame { node: child, level: frame.level + 1, x, width });
                }
                x += width;
            }
            frames.push(frame);
        }
        // What calls is as wide as what it calls or wider, so no frame loses its place.
        frames.sort_by(|a, b| b.width.total_cmp(&a.width).then(a.level.cmp(&b.level)));
        frames.truncate(FRAMES.max(above.len() + 1));
        frames.sort_by(|a, b| a.level.cmp(&b.level).then(a.x.total_cmp(&b.x)));
        frames
    }

    fn frame(&self, tree: &Tree, frame: &Frame, top: usize) -> Markup {
        let node = tree.node(frame.node);
        let link = match frame.node {
            0 => self.params.without(&["frame"]),
            _ => self.params.with("frame", format!("{:x}", node.id)),
        };
        let title = self.title(tree, frame.node);
        let is_found =
            self.find.is_some_and(|find| node.label.to_lowercase().contains(&find.to_lowercase())) && frame.node != 0;
        html! {
            a href=(link.link(self.path)) tabindex=[(frame.width < STOP).then_some("-1")] aria-label=(title) {
                svg class=(self.class(tree, frame.node, is_found, top)) x=(format!("{:.2}%", frame.x * 100.0)) y=(frame.level * HEIGHT)
                    width=(format!("{:.2}%", frame.width * 100.0)) height=(HEIGHT) {
                    title { (title) }
                    rect width="100%" height=(HEIGHT - 1) {}
                    @if frame.width >= NAMED { text x="4" y="14" { (cut(&node.label, 150)) } }
                }
            }
        }
    }

    fn class(&self, tree: &Tree, node: usize, is_found: bool, top: usize) -> String {
        if is_found {
            return "found".to_owned();
        }
        if self.is_compared {
            let share = |side: usize| tree.node(node).value[side] as f64 / tree.node(top).value[side].max(1) as f64;
            return match share(0) - share(1) {
                more if more > 0.05 => "more2",
                more if more > 0.005 => "more1",
                less if less < -0.05 => "less2",
                less if less < -0.005 => "less1",
                _ => "same",
            }
            .to_owned();
        }
        if node == 0 {
            return "same".to_owned();
        }
        // The colour of a function is that of its module, whatever else is in the picture.
        let label = &tree.node(node).label;
        let module = label.rsplit_once(['.', ':', '/']).map_or(label.as_str(), |(module, _)| module);
        format!("c{}", xxhash_rust::xxh3::xxh3_64(module.as_bytes()) % 20)
    }

    fn title(&self, tree: &Tree, node: usize) -> String {
        let node = tree.node(node);
        let share = |side: usize| percent(node.value[side] as f64 / tree.total(side).max(1) as f64);
        let mut title = format!("{}: {}, {}", cut(&node.label, 300), amount(node.value[0], self.unit), share(0));
        if self.is_compared {
            title.push_str(&format!("; before {}, {}", amount(node.value[1], self.unit), share(1)));
        } else if node.own[0] > 0 {
            title.push_str(&format!(", itself {}", amount(node.own[0], self.unit)));
        }
        title
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph<'a>(params: &'a Params, find: Option<&'a str>, is_compared: bool) -> Graph<'a> {
        Graph { unit: "nanoseconds", is_compared, find, params, path: "/profiles" }
    }

    #[test]
    fn frames_are_as_wide_as_what_they_took() {
        let mut tree = Tree::new();
        tree.add_stack(["main", "a<b>"].into_iter(), 0, 300);
        tree.add_stack(["main", "z"].into_iter(), 0, 100);
        tree.add_stack(["other"].into_iter(), 0, 400);
        let params = Params::parse("service=shop");
        let drawn = graph(&params, Some("Z"), false).draw(&tree, None, "flame").into_string();
        assert!(drawn.contains("x=\"37.50%\" y=\"40\" width=\"12.50%\""), "z is after a: {drawn}");
        assert!(
            drawn.contains("class=\"found\"") && drawn.contains("a&lt;b&gt;: 300 ns, 37.5 %, itself 300 ns"),
            "{drawn}"
        );
        assert!(!drawn.contains("<b>") && !drawn.contains("style="), "{drawn}");
        let main = tree.node(tree.node(0).children[0]).id;
        let drawn = graph(&params, None, false).draw(&tree, Some(main), "flame").into_string();
        assert!(drawn.contains("x=\"75.00%\" y=\"40\" width=\"25.00%\""), "{drawn}");
        assert!(!drawn.contains("other"), "{drawn}");
    }

    #[test]
    fn what_is_too_narrow_or_too_much_is_not_sent() {
        let mut tree = Tree::new();
        for n in 0..50_000 {
            let (module, function) = (format!("m{}", n / 100), format!("f{n}"));
            tree.add_stack(
                [module.as_str(), function.as_str(), "leaf"].into_iter(),
                0,
                if n < 3000 { 1000 } else { 1 },
            );
        }
        let drawn = graph(&Params::default(), None, false).draw(&tree, None, "flame").into_string();
        let frames = drawn.matches("<rect").count();
        assert!(frames > 20 && frames <= FRAMES, "{frames}");
        assert!(drawn.len() < 600_000, "{}", drawn.len());
    }

    #[test]
    fn times_that_are_compared_count_alike() {
        let mut tree = Tree::new();
        for (name, side, value) in [("a", 0, 10), ("b", 0, 10), ("a", 1, 4000), ("b", 1, 0)] {
            tree.add_stack([name].into_iter(), side, value);
        }
        let drawn = graph(&Params::default(), None, true).draw(&tree, None, "flame").into_string();
        assert!(drawn.contains("class=\"less2\" x=\"0.00%\" y=\"20\" width=\"75.00%\""), "{drawn}");
        assert!(drawn.contains("class=\"more2\" x=\"75.00%\" y=\"20\" width=\"25.00%\""), "{drawn}");
    }
}
