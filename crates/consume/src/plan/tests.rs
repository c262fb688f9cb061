//! Plans against a function that fails on some records.

use super::*;
use proptest::prelude::*;

#[test]
fn what_was_not_reached_costs_no_retry() {
    let mut plan = Plan::new(4, Rules { retries: Some(0), bisect: false });
    assert_eq!(plan.after(Outcome::Until(2)), Follow::Next);
    assert_eq!(plan.done(), 2);
    assert_eq!(plan.next(|_| false), Step::Invoke(Piece { range: 2..4, failures: 0, invokes: 1 }));
    assert_eq!(plan.after(Outcome::Until(2)), Follow::Again, "nothing was dealt with");
    assert_eq!(plan.after(Outcome::Success), Follow::Next);
    assert_eq!((plan.next(|_| false), plan.done()), (Step::Done, 4));
}

/// What happened to a batch.
#[derive(Debug, Default)]
struct Story {
    /// Each invocation's records.
    invoked: Vec<Range<usize>>,
    accepted: Vec<usize>,
    dropped: Vec<(Piece, Why)>,
}

/// Runs a batch to its end. `answer` says what the function makes of an invocation; `old` which records are too old after
/// so many invocations.
fn play(
    count: usize,
    rules: Rules,
    answer: impl Fn(&Range<usize>) -> Outcome,
    old: impl Fn(usize, usize) -> bool,
    most: usize,
) -> Story {
    let mut plan = Plan::new(count, rules);
    let mut story = Story::default();
    let mut done = 0;
    loop {
        let invocations = story.invoked.len();
        assert!(invocations < 100_000, "it ends");
        match plan.next(|i| old(i, invocations)) {
            Step::Done => break,
            Step::Drop(piece, why) => {
                assert_eq!(piece.range.start, done, "in order");
                story.dropped.push((piece, why));
            }
            Step::Invoke(piece) => {
                assert_eq!(piece.range.start, done, "in order");
                plan.cut(most);
                let range = piece.range.start..piece.range.end.min(piece.range.start + most);
                let outcome = answer(&range);
                story.invoked.push(range.clone());
                plan.after(outcome);
                story.accepted.extend(range.start..plan.done());
            }
        }
        assert!(plan.done() >= done, "what is done stays done");
        done = plan.done();
    }
    assert_eq!(done, count);
    story
}

fn fails_on(bad: &[usize]) -> impl Fn(&Range<usize>) -> Outcome + '_ {
    |range| if bad.iter().any(|b| range.contains(b)) { Outcome::FailedAt(range.start) } else { Outcome::Success }
}

fn never(_: usize, _: usize) -> bool {
    false
}

#[test]
fn without_settings_it_goes_on_until_it_works() {
    let mut plan = Plan::new(3, Rules::default());
    for _ in 0..1000 {
        assert!(matches!(plan.next(|_| false), Step::Invoke(Piece { range: Range { start: 0, end: 3 }, .. })));
        assert_eq!(plan.after(Outcome::FailedAt(0)), Follow::Again);
    }
    assert_eq!(plan.after(Outcome::Success), Follow::Next);
    assert_eq!((plan.next(|_| false), plan.done()), (Step::Done, 3));
}

#[test]
fn retries_are_counted_and_throttles_are_not() {
    let mut plan = Plan::new(2, Rules { retries: Some(1), bisect: false });
    assert_eq!(plan.after(Outcome::Unreached), Follow::Again);
    assert_eq!(plan.after(Outcome::FailedAt(0)), Follow::Again);
    assert_eq!(plan.after(Outcome::Unreached), Follow::Again);
    assert_eq!(plan.after(Outcome::FailedAt(0)), Follow::Next);
    let Step::Drop(piece, Why::Retries) = plan.next(|_| false) else { panic!("it is exhausted") };
    assert_eq!((piece.range, piece.invokes), (0..2, 2));
}

#[test]
fn bisecting_finds_the_one_bad_record() {
    let story = play(16, Rules { retries: Some(2), bisect: true }, fails_on(&[5]), never, 100);
    assert_eq!(story.dropped.len(), 1);
    assert_eq!(story.dropped[0].0.range, 5..6);
    // Alone it is tried as often as the retries say; halving cost none of them.
    assert_eq!(story.invoked.iter().filter(|range| **range == (5..6)).count(), 3);
    assert_eq!(story.dropped[0].0.invokes, 4 + 3, "four larger batches and three times alone");
    assert_eq!(story.accepted.len(), 15);
}

#[test]
fn a_reported_failure_keeps_what_came_before() {
    let at_7 = |range: &Range<usize>| if range.contains(&7) { Outcome::FailedAt(7) } else { Outcome::Success };
    let story = play(10, Rules { retries: Some(2), bisect: false }, at_7, never, 100);
    assert_eq!(story.invoked, [0..10, 7..10, 7..10]);
    assert_eq!(story.dropped[0].0, Piece { range: 7..10, failures: 3, invokes: 3 });
    // With both settings the rest is cut at the failure, then halved.
    let story = play(10, Rules { retries: Some(0), bisect: true }, at_7, never, 100);
    assert_eq!(story.invoked, [0..10, 7..10, 7..9, 7..8, 8..9, 9..10]);
    assert_eq!(story.dropped.len(), 1);
    assert_eq!(story.dropped[0].0.range, 7..8);
}

#[test]
fn what_is_too_old_is_dropped_and_the_rest_goes_on() {
    let story = play(6, Rules::default(), fails_on(&[0]), |i, invocations| invocations >= 2 && i < 3, 100);
    assert_eq!(story.invoked, [0..6, 0..6, 3..6]);
    assert_eq!(story.dropped[0].1, Why::Age);
    assert_eq!(story.dropped[0].0.range, 0..3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    /// A function that fails whenever a bad record is in its batch, with or without saying which.
    #[test]
    fn every_record_is_accepted_or_dropped_once(
        count in 1usize..40, bad in proptest::collection::btree_set(0usize..40, 0..5), retries in 0u32..4, bisect: bool,
        report: bool, most in 1usize..50,
    ) {
        let bad: Vec<usize> = bad.into_iter().filter(|b| *b < count).collect();
        let answer = |range: &Range<usize>| match bad.iter().find(|b| range.contains(b)) {
            Some(first) => Outcome::FailedAt(if report { *first } else { range.start }),
            None => Outcome::Success,
        };
        let story = play(count, Rules { retries: Some(retries), bisect }, answer, never, most);
        let mut ends: Vec<usize> = story.accepted.clone();
        ends.extend(story.dropped.iter().flat_map(|(piece, _)| piece.range.clone()));
        ends.sort_unstable();
        prop_assert_eq!(ends, (0..count).collect::<Vec<_>>());
        prop_assert!(story.accepted.iter().all(|i| !bad.contains(i)));
        for (piece, why) in &story.dropped {
            prop_assert_eq!(*why, Why::Retries);
            prop_assert!(piece.range.clone().any(|i| bad.contains(&i)), "nothing is dropped for nothing");
            if bisect {
                prop_assert_eq!(piece.range.len(), 1, "only the bad record itself");
            }
            let first = piece.range.start;
            let tries = story.invoked.iter().filter(|range| range.contains(&first)).count();
            prop_assert_eq!(tries as u32, piece.invokes);
            let alone = story.invoked.iter().filter(|range| **range == piece.range).count();
            prop_assert!(alone as u32 <= retries + 1);
            if bisect && !report {
                prop_assert_eq!(alone as u32, retries + 1);
            }
        }
    }
}

#[test]
fn the_lowest_of_what_failed_is_where_it_goes_on_and_a_foreign_name_fails_all() {
    let plan = Plan::new(4, Rules { retries: None, bisect: false });
    let judge = |failed: &[&str]| {
        let failed: Vec<String> = failed.iter().map(|name| (*name).to_owned()).collect();
        plan.judge(&failed, ["a", "b", "c", "d"].into_iter())
    };
    assert_eq!(judge(&[]), Outcome::Success);
    assert_eq!(judge(&["d", "b"]), Outcome::FailedAt(1));
    assert_eq!(judge(&["d", "x"]), Outcome::FailedAt(0));
}
