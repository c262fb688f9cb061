//! The rules of one bus as one automaton.
//!
//! An event is read once, and only where some rule asks. Each value found opens the doors it fits (see `doors`), and the
//! branches behind them are checked: each distinct question about a field is answered once per event, however many
//! branches ask it. So the work depends on the event, and on how many rules are nearly matched, not on how many there are.

use crate::doors::Doors;
use crate::elements::Asked;
use crate::evaluate::{Branch, Leaf};
use crate::event::{Event, EventError};
use crate::finds::Finds;
use crate::paths::{Paths, PlaceId, ROOT};
use crate::pattern::Pattern;
use crate::scan::{self, Stop};
use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// The patterns of one bus. A clone costs little more than copying its tables.
#[derive(Clone, Debug)]
pub struct RuleSet<Id: Ord + Clone> {
    ids: BTreeMap<Id, u32>,
    rules: Vec<Option<Rule<Id>>>,
    branches: Vec<Filed>,
    /// What the branches ask: questions, branch by branch.
    asked: Vec<u32>,
    questions: Vec<Question>,
    known: HashMap<Question, u32>,
    paths: Paths,
    doors: Doors,
    /// Branches that ask for no value and so stand behind no door.
    always: Vec<u32>,
    /// Rules that were removed and still take up room.
    removed: usize,
}

#[derive(Clone, Debug)]
struct Rule<Id> {
    id: Id,
    pattern: Pattern,
    /// Its first branch; the others follow.
    first: u32,
}

/// A branch of a rule, in its place.
#[derive(Clone, Copy, Debug)]
struct Filed {
    /// None where the rule was removed.
    rule: u32,
    /// Which of the pattern's branches it is.
    number: u32,
    /// Its part of `asked`.
    start: u32,
    end: u32,
}

/// What is asked of the values at a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    place: PlaceId,
    leaf: Leaf,
}

/// What is known about one event; kept from event to event.
#[derive(Default)]
struct Scratch {
    finds: Finds,
    elements: Asked,
    folded: String,
    /// Branches to check.
    candidates: Vec<u32>,
    round: u32,
    /// By branch, by rule: the round in which it was a candidate, or matched.
    tried: Vec<u32>,
    matched: Vec<u32>,
    /// By question: twice the round in which it was answered, plus one for yes.
    answers: Vec<u32>,
}

const NONE: u32 = u32::MAX;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl<Id: Ord + Clone> Default for RuleSet<Id> {
    fn default() -> Self {
        RuleSet {
            ids: BTreeMap::new(),
            rules: Vec::new(),
            branches: Vec::new(),
            asked: Vec::new(),
            questions: Vec::new(),
            known: HashMap::new(),
            paths: Paths::default(),
            doors: Doors::default(),
            always: Vec::new(),
            removed: 0,
        }
    }
}

impl<Id: Ord + Clone> RuleSet<Id> {
    /// Adds a rule, or replaces its pattern.
    pub fn insert(&mut self, id: Id, pattern: Pattern) {
        self.remove(&id);
        let (rule, first) = (number(self.rules.len()), number(self.branches.len()));
        for (branch_number, branch) in pattern.branches().iter().enumerate() {
            self.file(rule, number(branch_number), branch);
        }
        self.ids.insert(id.clone(), rule);
        self.rules.push(Some(Rule { id, pattern, first }));
    }

    /// Removes a rule; tells whether it was there. Its room is given back when half of all is free.
    pub fn remove<Name: Ord + ?Sized>(&mut self, id: &Name) -> bool
    where
        Id: Borrow<Name>,
    {
        let Some(rule) = self.ids.remove(id).and_then(|rule| self.rules[rule as usize].take()) else {
            return false;
        };
        let branches = &mut self.branches[rule.first as usize..][..rule.pattern.branches().len()];
        branches.iter_mut().for_each(|branch| branch.rule = NONE);
        self.removed += 1;
        if self.removed > self.ids.len() + 16 {
            let rules = std::mem::take(self).rules;
            rules.into_iter().flatten().for_each(|rule| self.insert(rule.id, rule.pattern));
        }
        true
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn file(&mut self, rule: u32, branch_number: u32, branch: &Branch) {
        let filed = number(self.branches.len());
        let start = self.asked.len();
        let mut questions: Vec<u32> = branch.leaves().map(|(path, leaf)| self.question(path, leaf)).collect();
        match self.best_door(&questions) {
            Some(at) => {
                // What stands behind a door is nearly always what the door is for: ask that last.
                let question = questions.remove(at);
                questions.push(question);
                let question = &self.questions[question as usize];
                if let Leaf::OneOf(conditions) = &question.leaf {
                    self.doors.file(question.place, conditions, filed);
                }
            }
            None => self.always.push(filed),
        }
        self.asked.extend(questions);
        let (start, end) = (number(start), number(self.asked.len()));
        self.branches.push(Filed { rule, number: branch_number, start, end });
    }

    fn question(&mut self, path: &str, leaf: &Leaf) -> u32 {
        let question = Question { place: self.paths.ask(path), leaf: leaf.clone() };
        let next = number(self.questions.len());
        *self.known.entry(question).or_insert_with_key(|question| {
            self.questions.push(question.clone());
            next
        })
    }

    /// Which of some questions has the least crowded doors.
    fn best_door(&self, questions: &[u32]) -> Option<usize> {
        let doors = questions.iter().enumerate().filter_map(|(at, question)| {
            let Question { place, leaf } = &self.questions[*question as usize];
            let Leaf::OneOf(conditions) = leaf else { return None };
            let (crowd, open_to_all) = self.doors.crowd(*place, conditions);
            // Of equals the deeper place: details tell events apart better than the envelope does.
            Some((at, (crowd, open_to_all, u32::MAX - self.paths.depth(*place), conditions.len())))
        });
        doors.min_by_key(|(_, score)| *score).map(|(at, _)| at)
    }

    /// The rules that an event matches, in the order of their ids. The text must be JSON: only what rules ask for is
    /// checked to be.
    pub fn matching(&self, event: &str) -> Result<Vec<&Id>, EventError> {
        SCRATCH.with_borrow_mut(|scratch| self.matching_in(event, scratch))
    }

    fn matching_in(&self, text: &str, scratch: &mut Scratch) -> Result<Vec<&Id>, EventError> {
        scratch.begin(self.branches.len(), self.rules.len(), self.questions.len());
        scratch.finds.clear(self.paths.len());
        let whole = match scan::scan(text, &self.paths, &mut scratch.finds) {
            Ok(()) => None,
            Err(Stop::Invalid(error)) => return Err(error),
            Err(Stop::Odd) => {
                let event = Event::parse(text)?;
                scratch.finds.clear(self.paths.len());
                scratch.finds.gather(&self.paths, ROOT, &event.root);
                Some(event)
            }
        };
        self.collect(text, scratch);
        let mut rules = Vec::new();
        for at in 0..scratch.candidates.len() {
            let filed = self.branches[scratch.candidates[at] as usize];
            if filed.rule == NONE || scratch.matched[filed.rule as usize] == scratch.round {
                continue;
            }
            let holds = match &whole {
                None => self.holds(filed, text, scratch),
                Some(event) => self.holds_whole(filed, event),
            };
            if holds {
                scratch.matched[filed.rule as usize] = scratch.round;
                rules.extend(self.rules[filed.rule as usize].as_ref().map(|rule| &rule.id));
            }
        }
        rules.sort_unstable();
        Ok(rules)
    }

    /// How many branches an event is checked against.
    #[cfg(test)]
    pub(crate) fn visited(&self, event: &str) -> usize {
        let mut scratch = Scratch::default();
        self.matching_in(event, &mut scratch).expect("an event");
        scratch.candidates.len()
    }

    /// Everybody whose doors an event opens, once.
    fn collect(&self, text: &str, scratch: &mut Scratch) {
        let Scratch { finds, folded, candidates, round, tried, .. } = scratch;
        let mut found = |branch: u32| {
            if std::mem::replace(&mut tried[branch as usize], *round) != *round {
                candidates.push(branch);
            }
        };
        for (place, value) in finds.all(text) {
            self.doors.open(place, value, folded, &mut found);
        }
        self.always.iter().copied().for_each(found);
    }

    /// Whether a branch matches an event that was taken apart whole.
    fn holds_whole(&self, filed: Filed, event: &Event) -> bool {
        let rule = self.rules[filed.rule as usize].as_ref();
        rule.is_some_and(|rule| rule.pattern.branches()[filed.number as usize].matches(&event.root))
    }

    /// Whether a branch matches the event that was scanned.
    fn holds(&self, filed: Filed, text: &str, scratch: &mut Scratch) -> bool {
        let questions = &self.asked[filed.start as usize..filed.end as usize];
        let bound = !scratch.finds.arrays.is_empty() && self.is_bound(questions, &scratch.finds);
        let holds = questions.iter().all(|question| {
            // Absence may be of one element alone.
            let absent = bound && self.questions[*question as usize].leaf == Leaf::Absent;
            absent || self.answer(*question, text, scratch)
        });
        holds && (!bound || self.is_consistent(questions, text, scratch))
    }

    /// Whether two things are asked for below an array, so that they must be found in the same element of it.
    fn is_bound(&self, questions: &[u32], finds: &Finds) -> bool {
        finds.arrays.iter().any(|array| {
            let place = |question: &&u32| self.questions[**question as usize].place;
            questions.iter().filter(|question| self.paths.is_below(place(question), *array)).nth(1).is_some()
        })
    }

    fn is_consistent(&self, questions: &[u32], text: &str, scratch: &mut Scratch) -> bool {
        let Scratch { finds, elements, .. } = scratch;
        elements.clear();
        for question in questions {
            let Question { place, leaf } = &self.questions[*question as usize];
            let passing = finds.at(*place, text).filter(|(_, value)| leaf.accepts(*value));
            elements.add(*place, *leaf == Leaf::Absent, passing.map(|(element, _)| element));
        }
        elements.is_consistent(&self.paths, finds)
    }

    fn answer(&self, question: u32, text: &str, scratch: &mut Scratch) -> bool {
        let (yes, no) = (scratch.round * 2 + 1, scratch.round * 2);
        let answer = scratch.answers[question as usize];
        if answer == yes || answer == no {
            return answer == yes;
        }
        let Question { place, leaf } = &self.questions[question as usize];
        let mut values = scratch.finds.at(*place, text);
        let holds = values.any(|(_, value)| leaf.accepts(value)) != (*leaf == Leaf::Absent);
        scratch.answers[question as usize] = if holds { yes } else { no };
        holds
    }
}

impl Scratch {
    fn begin(&mut self, branches: usize, rules: usize, questions: usize) {
        let room = |list: &mut Vec<u32>, len| {
            if list.len() < len {
                list.resize(len, 0);
            }
        };
        room(&mut self.tried, branches);
        room(&mut self.matched, rules);
        room(&mut self.answers, questions);
        self.candidates.clear();
        // Answers hold twice the round.
        if self.round == u32::MAX / 2 {
            self.tried.fill(0);
            self.matched.fill(0);
            self.answers.fill(0);
            self.round = 0;
        }
        self.round += 1;
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("no bus holds 2^32 of anything")
}
