//! How fast a provider may be asked.

use delivery::{Backoff, Verdict};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use world::World;

/// Longer waits are left to `delivery`.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys beyond which those that are free anyway are forgotten.
const KEYS: usize = 10_000;

/// When each may be asked next, by the monotonic clock.
#[derive(Default)]
pub(super) struct Pace(Mutex<BTreeMap<String, Duration>>);

impl Pace {
    /// Waits for a turn, `gap` after the one before; where that is far off, an answer that costs no try.
    pub(super) async fn turn(&self, world: &World, key: &str, gap: Duration) -> Result<(), Verdict> {
        let wait = self.take(key, gap, world.clock.monotonic());
        if wait > PATIENCE {
            let pace = Backoff { first: wait, factor: 1.0, cap: wait, jitter: false, steps: Vec::new() };
            let why = format!("it asked for {} s of quiet", wait.as_secs());
            return Err(Verdict::Busy { code: "Paced".into(), why, pace });
        }
        if !wait.is_zero() {
            world.clock.sleep(wait).await;
        }
        Ok(())
    }

    /// Nobody asks again for so long.
    pub(super) fn hold(&self, world: &World, key: &str, by: Duration) {
        let until = world.clock.monotonic() + by;
        let mut next = self.0.lock().expect("no panic holds this lock");
        let slot = next.entry(key.to_owned()).or_default();
        *slot = until.max(*slot);
    }

    fn take(&self, key: &str, gap: Duration, now: Duration) -> Duration {
        let mut next = self.0.lock().expect("no panic holds this lock");
        if next.len() >= KEYS {
            next.retain(|_, at| *at > now);
        }
        let slot = next.entry(key.to_owned()).or_default();
        let wait = slot.saturating_sub(now);
        if wait <= PATIENCE {
            *slot = now + wait + gap;
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_keep_their_distance_and_long_waits_take_none() {
        let (pace, gap, now) = (Pace::default(), Duration::from_secs(2), Duration::from_secs(100));
        let take = |key: &str, now| pace.take(key, gap, now).as_secs();
        assert_eq!([take("a", now), take("a", now), take("a", now), take("b", now)], [0, 2, 4, 0]);
        assert_eq!([take("a", now), take("a", now)], [6, 6], "too long to wait here");
        assert_eq!(take("a", now + Duration::from_secs(60)), 0);
    }
}
