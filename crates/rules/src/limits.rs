//! Every number, with the page it comes from. Those of patterns, paths, schedules and transformers stand with them.

use std::time::Duration;

// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>

/// Event buses of an account, the default one included.
pub(crate) const BUSES: usize = 100;
/// Events that a bus takes at once from other places of the house.
pub(crate) const BUS_BATCH: usize = 16;
/// Rules of a bus.
pub(crate) const RULES: usize = 300;
/// Targets of a rule.
pub(crate) const TARGETS: usize = 5;
/// Characters of a bus's policy.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html>
pub(crate) const POLICY_CHARS: usize = 10_240;
/// Connections of an account.
pub(crate) const CONNECTIONS: usize = 3_000;
/// API destinations of an account.
pub(crate) const DESTINATIONS: usize = 3_000;
/// Archives of an account.
pub(crate) const ARCHIVES: usize = 100;
/// Replays that run at once.
pub(crate) const REPLAYS: usize = 10;

/// Bytes that the entries of one `PutEvents` call count together. The page says less than 1 MB; exactly so many are
/// taken. It was 256 KB until January 2026.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size>
pub(crate) const ENTRIES_BYTES: usize = 1 << 20;
/// Bytes of what one target is sent for an event, where a transformer or the parameters of a request make it. Ours: AWS names
/// no such number; this is as much as an event may have, and as a queue or an asynchronous invocation takes.
pub(crate) const INPUT_BYTES: usize = ENTRIES_BYTES;
/// What a `Time` counts there.
pub(crate) const TIME_BYTES: usize = 14;
/// Characters of a `DetailType`.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>
pub(crate) const DETAIL_TYPE_CHARS: usize = 128;

/// Regions whose quotas of throughput are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Largest,
    Large,
    Medium,
    Small,
    Other,
}

impl Tier {
    pub(crate) fn of(region: &str) -> Tier {
        match region {
            "us-east-1" | "us-west-2" | "eu-west-1" => Tier::Largest,
            "us-east-2" | "eu-central-1" => Tier::Large,
            "us-west-1" | "ap-northeast-1" | "ap-southeast-1" | "ap-southeast-2" | "eu-west-2" => Tier::Medium,
            "af-south-1" | "ap-northeast-3" | "ap-southeast-3" | "eu-south-1" => Tier::Small,
            _ => Tier::Other,
        }
    }
}

/// Calls of `PutEvents` in a second, by [`Tier`]: more are refused.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub(crate) const PUTS_PER_S: [usize; 5] = [10_000, 2_400, 1_200, 400, 600];
/// Invocations of targets in a second, by [`Tier`]: more are delayed.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub(crate) const INVOCATIONS_PER_S: [usize; 5] = [18_750, 4_500, 2_250, 750, 1_100];

/// Tags of a rule or a bus. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-tagging.html>
pub(crate) const TAGS: usize = 50;
/// Items of a page where the caller sets no limit.
pub(crate) const PAGE: usize = 100;

/// Retries and age where a target's `RetryPolicy` says nothing.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html>
pub(crate) const RETRIES: u32 = 185;
/// See [`RETRIES`].
pub(crate) const EVENT_AGE: Duration = Duration::from_secs(86_400);

/// How long the schedules sleep at most, so that neither a jump of the clock nor a caller that went away while a rule was
/// being written delays them by more. Ours: AWS's schedules are good to a minute.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(20);
/// How long ago a schedule of the scheduler may begin: as its clients are told.
pub(crate) const START_GRACE: Duration = Duration::from_secs(300);
/// How long the schedules wait after the store failed.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long an API destination may take to answer. The same holds for the endpoints that give tokens.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html>
pub(crate) const DESTINATION_TIMEOUT: Duration = Duration::from_secs(5);
/// Invocations a second where an API destination says nothing.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateApiDestination.html>
pub(crate) const INVOCATION_RATE: u32 = 300;
/// Requests to one API destination at once, whatever its rate. Ours.
pub(crate) const DESTINATION_AT_ONCE: usize = 100;
/// A token is fetched anew so long before it ends, or a tenth of its life before. Ours.
pub(crate) const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How long a replay that has ended is shown.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>
pub(crate) const REPLAYS_KEPT: Duration = Duration::from_secs(90 * 86_400);
/// How often archives are looked through for events past their retention. Ours.
pub(crate) const RETENTION_PAUSE: Duration = Duration::from_secs(3600);
/// Stretches of an archive that a replay plans at once: some 24 bytes of memory each. Ours.
pub(crate) const REPLAY_RUNS: usize = 1 << 20;
/// Events that a replay sends at once, and their bytes. Ours.
pub(crate) const REPLAY_BATCH: usize = 500;
/// See [`REPLAY_BATCH`].
pub(crate) const REPLAY_BATCH_BYTES: usize = 1 << 20;
/// Deliveries that wait, at which replays wait too. Ours.
pub(crate) const REPLAY_BACKLOG: u64 = 20_000;
/// How long they wait. Ours.
pub(crate) const REPLAY_PAUSE: Duration = Duration::from_millis(100);

// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html>

/// Schedule groups of an account.
pub(crate) const SCHEDULE_GROUPS: usize = 500;
/// Schedules of an account.
pub(crate) const SCHEDULES: usize = 1_000_000;
