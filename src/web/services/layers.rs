//! Where the nodes of a graph of calls are: callers to the left of those that they call.

use std::collections::HashMap;

/// The layer of each node, and its place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// By node: layer, and place in the layer.
    pub places: Vec<(usize, usize)>,
    /// How many nodes each layer has.
    pub sizes: Vec<usize>,
}

/// Layers of a graph of so many nodes, with edges from callers to called. A call that closes a ring goes back.
pub fn layers(nodes: usize, edges: &[(usize, usize)]) -> Layers {
    let forward = without_rings(nodes, edges);
    let mut layer = vec![0; nodes];
    // The longest way to each; there are no rings, so it ends after as many rounds as there are nodes.
    for _ in 0..nodes {
        let mut moved = false;
        for (from, to) in &forward {
            if layer[*to] <= layer[*from] {
                layer[*to] = layer[*from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let count = layer.iter().max().map_or(0, |most| most + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (node, layer) in layer.iter().enumerate() {
        members[*layer].push(node);
    }
    // Nodes stand beside the mean of those that call them: fewer lines cross.
    let mut place: HashMap<usize, f64> = HashMap::new();
    for layer in &mut members {
        let mean = |node: usize, place: &HashMap<usize, f64>| {
            let callers: Vec<f64> =
                forward.iter().filter(|(_, to)| *to == node).filter_map(|(from, _)| place.get(from).copied()).collect();
            if callers.is_empty() { f64::MAX } else { callers.iter().sum::<f64>() / callers.len() as f64 }
        };
        layer.sort_by(|a, b| mean(*a, &place).total_cmp(&mean(*b, &place)).then(a.cmp(b)));
        let size = layer.len() as f64;
        place.extend(layer.iter().enumerate().map(|(n, node)| (*node, (n as f64 + 0.5) / size)));
    }
    let mut places = vec![(0, 0); nodes];
    for (n, layer) in members.iter().enumerate() {
        for (m, node) in layer.iter().enumerate() {
            places[*node] = (n, m);
        }
    }
    Layers { places, sizes: members.iter().map(Vec::len).collect() }
}

/// The edges without those that close a ring, found depth first from the nodes that nobody calls.
fn without_rings(nodes: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut is_called = vec![false; nodes];
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        below[*from].push(*to);
        is_called[*to] = true;
    }
    let mut forward = Vec::new();
    // 0: not seen, 1: on the way, 2: done.
    let mut state = vec![0; nodes];
    let starts = (0..nodes).filter(|node| !is_called[*node]).chain(0..nodes);
    for start in starts.collect::<Vec<_>>() {
        if state[start] != 0 {
            continue;
        }
        state[start] = 1;
        let mut way = vec![(start, 0)];
        while let Some((node, next)) = way.last_mut() {
            let Some(to) = below[*node].get(*next).copied() else {
                state[*node] = 2;
                way.pop();
                continue;
            };
            *next += 1;
            if state[to] != 1 {
                forward.push((*node, to));
            }
            if state[to] == 0 {
                state[to] = 1;
                way.push((to, 0));
            }
        }
    }
    forward
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_left_of_those_that_they_call() {
        // 0 calls 1 and 2, both call 3, 0 calls 3, too.
        let found = layers(4, &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)]);
        assert_eq!(found.places.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), [0, 1, 1, 2]);
        assert_eq!(found.sizes, [1, 2, 1]);
    }

    #[test]
    fn rings_end() {
        let found = layers(3, &[(0, 1), (1, 2), (2, 0), (1, 1)]);
        assert_eq!(found.places.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(layers(0, &[]).sizes, [0; 0]);
        assert_eq!(layers(2, &[]).places, [(0, 0), (0, 1)]);
    }
}
