//! Positions of which nothing is left.
//!
//! Such a gap is told when it is found. The file of the cursors remembers it, so that it is not
//! told again at every start.

use std::ops::Range;

/// The parts of `gap` that are in none of `known`.
pub(super) fn without(gap: &Range<u64>, known: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut rest = vec![gap.clone()];
    for known in known {
        let parts = |part: Range<u64>| [part.start..part.end.min(known.start), part.start.max(known.end)..part.end];
        rest = rest.into_iter().flat_map(parts).filter(|part| part.start < part.end).collect();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_left_out() {
        let rest = |gap: Range<u64>, known: &[(u64, u64)]| {
            let known: Vec<_> = known.iter().map(|(start, end)| *start..*end).collect();
            without(&gap, &known).into_iter().map(|part| (part.start, part.end)).collect::<Vec<_>>()
        };
        assert_eq!(rest(5..10, &[]), [(5, 10)]);
        assert_eq!(rest(5..10, &[(0, 6), (8, 9)]), [(6, 8), (9, 10)]);
        assert_eq!(rest(5..10, &[(0, 20)]), []);
        assert_eq!(rest(5..10, &[(10, 20), (0, 5)]), [(5, 10)]);
    }
}
