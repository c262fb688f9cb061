use super::*;

fn at(text: &str) -> Timestamp {
    // 2026-01-31T10:00:00Z and the like, through a schedule of that one minute.
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().expect("digits");
    let expression =
        format!("cron({} {} {} {} ? {})", number(14, 16), number(11, 13), number(8, 10), number(5, 7), number(0, 4));
    let found = Schedule::parse(&expression).expect("a minute").next_after(Timestamp(-60_000_000)).expect("is due");
    assert_eq!(found.iso_secs(), text);
    found
}

/// Expressions of the documentation's table and of its wildcards, each with a moment and the next three times due.
const TABLE: &[(&str, &str, [&str; 3])] = &[
    (
        "cron(0 10 * * ? *)",
        "2026-02-27T10:00:00Z",
        ["2026-02-28T10:00:00Z", "2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z"],
    ),
    (
        "cron(15 12 * * ? *)",
        "2026-12-31T12:14:00Z",
        ["2026-12-31T12:15:00Z", "2027-01-01T12:15:00Z", "2027-01-02T12:15:00Z"],
    ),
    (
        "cron(0 18 ? * MON-FRI *)",
        "2026-11-20T17:59:00Z",
        ["2026-11-20T18:00:00Z", "2026-11-23T18:00:00Z", "2026-11-24T18:00:00Z"],
    ),
    (
        "cron(0 8 1 * ? *)",
        "2026-11-20T17:59:00Z",
        ["2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z", "2027-02-01T08:00:00Z"],
    ),
    (
        "cron(0/15 * * * ? *)",
        "2026-11-20T23:40:00Z",
        ["2026-11-20T23:45:00Z", "2026-11-21T00:00:00Z", "2026-11-21T00:15:00Z"],
    ),
    (
        "cron(0/10 * ? * MON-FRI *)",
        "2026-11-20T23:50:00Z",
        ["2026-11-23T00:00:00Z", "2026-11-23T00:10:00Z", "2026-11-23T00:20:00Z"],
    ),
    (
        "cron(0/5 8-17 ? * MON-FRI *)",
        "2026-11-20T17:50:00Z",
        ["2026-11-20T17:55:00Z", "2026-11-23T08:00:00Z", "2026-11-23T08:05:00Z"],
    ),
    (
        "cron(1/10 0 1 1 ? 2030)",
        "2026-11-20T17:50:00Z",
        ["2030-01-01T00:01:00Z", "2030-01-01T00:11:00Z", "2030-01-01T00:21:00Z"],
    ),
    (
        "cron(0 0 L * ? *)",
        "2028-01-31T00:00:00Z",
        ["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z", "2028-04-30T00:00:00Z"],
    ),
    (
        "cron(0 0 3W * ? *)",
        "2026-09-30T00:00:00Z",
        ["2026-10-02T00:00:00Z", "2026-11-03T00:00:00Z", "2026-12-03T00:00:00Z"],
    ),
    (
        "cron(0 0 1W * ? *)",
        "2026-07-30T00:00:00Z",
        ["2026-08-03T00:00:00Z", "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"],
    ),
    (
        "cron(0 0 LW * ? *)",
        "2026-05-01T00:00:00Z",
        ["2026-05-29T00:00:00Z", "2026-06-30T00:00:00Z", "2026-07-31T00:00:00Z"],
    ),
    (
        "cron(0 0 ? * 3#2 *)",
        "2026-11-01T00:00:00Z",
        ["2026-11-10T00:00:00Z", "2026-12-08T00:00:00Z", "2027-01-12T00:00:00Z"],
    ),
    (
        "cron(0 0 ? * TUE#5 *)",
        "2026-11-01T00:00:00Z",
        ["2026-12-29T00:00:00Z", "2027-03-30T00:00:00Z", "2027-06-29T00:00:00Z"],
    ),
    (
        "cron(0 0 ? * 6L *)",
        "2026-11-01T00:00:00Z",
        ["2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z", "2027-01-29T00:00:00Z"],
    ),
    (
        "cron(0 0 ? * L *)",
        "2026-11-01T00:00:00Z",
        ["2026-11-07T00:00:00Z", "2026-11-14T00:00:00Z", "2026-11-21T00:00:00Z"],
    ),
    (
        "cron(0 0 ? * FRI-MON *)",
        "2026-11-22T00:00:00Z",
        ["2026-11-23T00:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"],
    ),
    (
        "cron(0 0 29 2 ? *)",
        "2026-11-22T00:00:00Z",
        ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z"],
    ),
    (
        "cron(0 0 29 FEB ? 2096-2199)",
        "2026-11-22T00:00:00Z",
        ["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"],
    ),
    (
        "cron(30 6,18 1,15 jan,JUL ? *)",
        "2026-11-22T00:00:00Z",
        ["2027-01-01T06:30:00Z", "2027-01-01T18:30:00Z", "2027-01-15T06:30:00Z"],
    ),
    (
        "cron(0 0 1 1 ? 2026/50)",
        "2026-11-22T00:00:00Z",
        ["2076-01-01T00:00:00Z", "2126-01-01T00:00:00Z", "2176-01-01T00:00:00Z"],
    ),
    (
        "cron(* * * * ? *)",
        "2026-12-31T23:59:00Z",
        ["2027-01-01T00:00:00Z", "2027-01-01T00:01:00Z", "2027-01-01T00:02:00Z"],
    ),
    (
        "rate(1 minute)",
        "2026-12-31T23:59:00Z",
        ["2027-01-01T00:00:00Z", "2027-01-01T00:01:00Z", "2027-01-01T00:02:00Z"],
    ),
    ("rate(5 hours)", "2026-12-31T23:59:00Z", ["2027-01-01T04:59:00Z", "2027-01-01T09:59:00Z", "2027-01-01T14:59:00Z"]),
    ("rate(7 days)", "2026-12-31T23:59:00Z", ["2027-01-07T23:59:00Z", "2027-01-14T23:59:00Z", "2027-01-21T23:59:00Z"]),
];

#[test]
fn schedules_are_due_when_documented() {
    for (expression, from, wanted) in TABLE {
        let schedule = Schedule::parse(expression).expect(expression);
        let mut instant = at(from);
        for due in wanted {
            instant = schedule.next_after(instant).expect(expression);
            assert_eq!(instant.iso_secs(), *due, "{expression} after {from}");
        }
    }
}

#[test]
fn schedules_end() {
    let once = Schedule::parse("cron(0 0 1 1 ? 2030)").expect("valid");
    assert_eq!(once.next_after(at("2030-01-01T00:00:00Z")), None);
    let never = Schedule::parse("cron(0 0 31 2 ? *)").expect("valid, if never due");
    assert_eq!(never.next_after(at("2026-01-01T00:00:00Z")), None);
    let last = Schedule::parse("cron(59 23 31 12 ? *)").expect("valid");
    assert_eq!(last.next_after(at("2199-12-31T23:59:00Z")), None);
}

#[test]
fn seconds_count_towards_the_next_minute() {
    let every_minute = Schedule::parse("cron(* * * * ? *)").expect("valid");
    let instant = Timestamp::from_millis(at("2026-11-22T10:00:00Z").millis() + 59_999);
    assert_eq!(every_minute.next_after(instant).map(Timestamp::iso_secs).as_deref(), Some("2026-11-22T10:01:00Z"));
}

#[test]
fn other_expressions_are_refused() {
    for expression in [
        "",
        "rate",
        "rate()",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(-5 minutes)",
        "rate(+5 minutes)",
        "rate(5 seconds)",
        "rate(5minutes)",
        "rate(1.5 hours)",
        "rate(5 minutes",
        "rate( 5 minutes)",
        "rate(5 minutess)",
        "rate(99999999999 days)",
        "every 5 minutes",
        "cron()",
        "cron(0 10 * * ?)",
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(0 10 * * MON *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 1 13 ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * 0 *)",
        "cron(0 0 1 1 ? 1969)",
        "cron(0 0 1 1 ? 2200)",
        "cron(0/0 * * * ? *)",
        "cron(a * * * ? *)",
        "cron(0 0 ? * 3#1,6#3 *)",
        "cron(0 0 ? * 3#6 *)",
        "cron(0 0 ? * 3#0 *)",
        "cron(? * * * ? *)",
        "cron(0 0 W * ? *)",
        "cron(0 0 1 1 ? 2030-2020)",
        "cron(, * * * ? *)",
        "cron(1- * * * ? *)",
        "CRON(0 10 * * ? *)",
        "cron(L * * * ? *)",
    ] {
        assert_eq!(Schedule::parse(expression), Err(ScheduleError), "{expression}");
    }
    assert_eq!(ScheduleError.to_string(), "Parameter ScheduleExpression is not valid.");
}

proptest::proptest! {
    #[test]
    fn what_is_due_is_later_and_whole(
        fields in proptest::collection::vec("[0-9*?/,\\-LW#]{1,4}", 6), from in -1i64..7_258_118_400
    ) {
        if let Ok(schedule) = Schedule::parse(&format!("cron({})", fields.join(" "))) {
            let from = Timestamp(from * 1_000_000);
            if let Some(due) = schedule.next_after(from) {
                assert!(due > from);
                assert_eq!(due.secs() % 60, 0);
            }
        }
    }
}
