use crate::BoxFuture;
pub use names::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Reads and waits for time.
pub trait Clock: Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;
    /// Time that never goes back, from an arbitrary start: for measuring durations.
    fn monotonic(&self) -> Duration;
    /// Resolves after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
pub struct RealClock;

impl Clock for RealClock {
    #[allow(clippy::disallowed_methods)] // this is the port
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_micros() as i64)
    }
    fn monotonic(&self) -> Duration {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
    }
    #[allow(clippy::disallowed_methods)] // this is the port
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Tokio's clock, which tests pause and advance, with an offset for jumps of the wall clock.
/// Starts at 2026-01-01T00:00:00Z.
pub struct SimClock {
    start: tokio::time::Instant,
    offset_us: AtomicI64,
}

impl SimClock {
    /// Must be called inside a Tokio runtime.
    pub fn new() -> SimClock {
        SimClock { start: tokio::time::Instant::now(), offset_us: AtomicI64::new(0) }
    }
    /// Moves the wall clock by hand, back or forth, without waking anything.
    pub fn jump(&self, micros: i64) {
        self.offset_us.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Default for SimClock {
    fn default() -> Self {
        SimClock::new()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        const START_US: i64 = 1_767_225_600_000_000;
        Timestamp(START_US + self.start.elapsed().as_micros() as i64 + self.offset_us.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
    #[allow(clippy::disallowed_methods)] // this is the port
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
