//! The label names of one series.

use crate::wire::error::Reason;

/// Names of the labels of one series, in the order in which they came. Kept and used again.
#[derive(Default)]
pub(super) struct Names<'a> {
    names: Vec<&'a [u8]>,
    named: bool,
}

impl<'a> Names<'a> {
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.named = false;
    }

    pub(super) fn push(&mut self, name: &'a [u8], value: &[u8]) {
        self.named |= name == b"__name__" && !value.is_empty();
        self.names.push(name);
    }

    /// Names the label at fault by its index, where one is, and what is wrong.
    pub(super) fn check(&self) -> Result<(), (Option<usize>, Reason)> {
        if let Some(index) = self.names.iter().position(|name| name.is_empty()) {
            return Err((Some(index), Reason::EmptyLabelName));
        }
        if !self.named {
            return Err((None, Reason::NoMetricName));
        }
        // Senders sort labels, which settles it in one comparison each.
        if self.names.is_sorted_by(|a, b| a < b) { Ok(()) } else { self.check_unsorted() }
    }

    #[cold]
    fn check_unsorted(&self) -> Result<(), (Option<usize>, Reason)> {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by_key(|&index| (self.names[index], index));
        match order.windows(2).find(|pair| self.names[pair[0]] == self.names[pair[1]]) {
            None => Ok(()),
            Some(pair) => {
                let name = String::from_utf8_lossy(self.names[pair[1]]).into_owned();
                Err((Some(pair[1]), Reason::DuplicateLabel(name)))
            }
        }
    }
}
