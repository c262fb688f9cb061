//! Array consistency: all that a branch asks for below an array must be found in the same element of it.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html>

use crate::finds::{ElementId, Finds, WHOLE};
use crate::paths::{Paths, PlaceId};
use std::ops::Range;

/// What a branch asks, with the elements that speak for it. Kept from branch to branch.
#[derive(Default)]
pub(crate) struct Asked {
    questions: Vec<Question>,
    /// The elements of all questions, those of each in order.
    held_in: Vec<ElementId>,
}

#[derive(Clone, Debug)]
struct Question {
    place: PlaceId,
    /// Whether it asks that there be no value.
    absent: bool,
    /// Its part of `held_in`.
    held_in: Range<usize>,
}

impl Asked {
    pub(crate) fn clear(&mut self) {
        self.questions.clear();
        self.held_in.clear();
    }

    /// Adds a question with the elements that have a value that passes; where it asks for none, those with any.
    pub(crate) fn add(&mut self, place: PlaceId, absent: bool, held_in: impl Iterator<Item = ElementId>) {
        let start = self.held_in.len();
        self.held_in.extend(held_in);
        // They come with the last first, but not quite in order: what follows an element lies in the one around it.
        self.held_in[start..].sort_unstable();
        self.questions.push(Question { place, absent, held_in: start..self.held_in.len() });
    }

    /// Whether elements can be chosen so that all questions hold.
    pub(crate) fn is_consistent(&mut self, paths: &Paths, finds: &Finds) -> bool {
        let choice = Choice { paths, finds, held_in: &self.held_in };
        choice.holds_in(WHOLE, &mut self.questions)
    }
}

struct Choice<'a> {
    paths: &'a Paths,
    finds: &'a Finds,
    held_in: &'a [ElementId],
}

impl Choice<'_> {
    /// Whether all that is asked holds in an element; what is asked may change its order.
    fn holds_in(&self, element: ElementId, asked: &mut [Question]) -> bool {
        let end = self.finds.element(element).end;
        let (mut inner, mut rest) = (element + 1, asked);
        while inner < end {
            // The elements of one array follow one another.
            let array = self.finds.element(inner).place;
            let mut after = inner;
            while after < end && self.finds.element(after).place == array {
                after = self.finds.element(after).end;
            }
            let (below, others) = self.split(rest, array);
            if !below.is_empty() && !self.holds_in_one_of(inner..after, below) {
                return false;
            }
            (inner, rest) = (after, others);
        }
        rest.iter().all(|question| self.elements(question).binary_search(&element).is_ok() != question.absent)
    }

    fn holds_in_one_of(&self, elements: Range<ElementId>, asked: &mut [Question]) -> bool {
        if asked.iter().all(|question| question.absent) {
            // Nothing fixes an element, so the values must be absent from all of them.
            return asked.iter().all(|question| {
                let held_in = self.elements(question);
                let first = held_in.partition_point(|held| *held < elements.start);
                held_in.get(first).is_none_or(|held| *held >= elements.end)
            });
        }
        let mut element = elements.start;
        while element < elements.end {
            if self.holds_in(element, asked) {
                return true;
            }
            element = self.finds.element(element).end;
        }
        false
    }

    /// What is asked below an array, and the rest.
    fn split<'q>(&self, asked: &'q mut [Question], array: PlaceId) -> (&'q mut [Question], &'q mut [Question]) {
        let mut below = 0;
        for at in 0..asked.len() {
            if self.paths.is_below(asked[at].place, array) {
                asked.swap(below, at);
                below += 1;
            }
        }
        asked.split_at_mut(below)
    }

    fn elements(&self, question: &Question) -> &[ElementId] {
        &self.held_in[question.held_in.clone()]
    }
}
