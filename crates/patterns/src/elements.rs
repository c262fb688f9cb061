//! Array consistency: all that a branch asks for below an array must be found in the same element of it.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html>

use crate::finds::{ElementId, Finds, WHOLE};
use crate::paths::{Paths, PlaceId};

/// A question of a branch, with the elements that speak for it.
pub(crate) struct Asked {
    pub(crate) place: PlaceId,
    /// Whether it asks that there be no value.
    pub(crate) absent: bool,
    /// In order: the elements with a value that passes; where it asks for none, those with any.
    pub(crate) held_in: Vec<ElementId>,
}

/// Whether elements can be chosen so that all questions hold.
pub(crate) fn consistent(paths: &Paths, finds: &Finds, asked: &[Asked]) -> bool {
    let asked: Vec<&Asked> = asked.iter().collect();
    Choice { paths, finds }.holds_in(WHOLE, &asked)
}

struct Choice<'a> {
    paths: &'a Paths,
    finds: &'a Finds,
}

impl Choice<'_> {
    fn holds_in(&self, element: ElementId, asked: &[&Asked]) -> bool {
        let mut left = asked.to_vec();
        for array in self.arrays_in(element) {
            let (below, rest): (Vec<&Asked>, Vec<&Asked>) =
                left.into_iter().partition(|asked| self.paths.is_below(asked.place, array));
            left = rest;
            if !below.is_empty() && !self.holds_below(element, array, &below) {
                return false;
            }
        }
        left.iter().all(|asked| asked.held_in.binary_search(&element).is_ok() != asked.absent)
    }

    fn holds_below(&self, element: ElementId, array: PlaceId, asked: &[&Asked]) -> bool {
        if asked.iter().all(|asked| asked.absent) {
            // Nothing fixes an element, so the values must be absent from all of them.
            let end = self.finds.element(element).end;
            return asked.iter().all(|asked| {
                let first = asked.held_in.partition_point(|held| *held < element);
                asked.held_in.get(first).is_none_or(|held| *held >= end)
            });
        }
        self.elements_in(element).any(|inner| self.finds.element(inner).place == array && self.holds_in(inner, asked))
    }

    /// The elements of the arrays that stand directly in an element.
    fn elements_in(&self, element: ElementId) -> impl Iterator<Item = ElementId> {
        let end = self.finds.element(element).end;
        let first = Some(element + 1).filter(|first| *first < end);
        std::iter::successors(first, move |inner| Some(self.finds.element(*inner).end).filter(|next| *next < end))
    }

    /// The places of those arrays.
    fn arrays_in(&self, element: ElementId) -> Vec<PlaceId> {
        let mut arrays: Vec<PlaceId> = self.elements_in(element).map(|inner| self.finds.element(inner).place).collect();
        arrays.dedup();
        arrays.sort_unstable();
        arrays.dedup();
        arrays
    }
}
