//! Every number of the runtime with where it comes from.

use std::time::Duration;

/// The largest response of a function.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html> (6 MB, and 100 bytes more in fact).
pub const MAX_RESPONSE: usize = 6_291_556;
/// The largest response that is taken in pieces.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html> (200 MB).
pub const MAX_STREAM: usize = 200 << 20;
/// How much of it goes as fast as it is taken. Source: as above (6 MB).
pub(super) const STREAM_BURST: usize = 6 << 20;
/// Bytes a second of what follows. Source: as above (2 MBps).
pub(super) const STREAM_RATE: u64 = 2 << 20;
/// A process whose response broke off may be about to end, which is then what is told; and one that ended may have
/// written what is still on its way. So long is either waited for.
pub(super) const LAST_WORD: Duration = Duration::from_millis(500);
/// Response bodies up to this size are read to their end and refused politely, larger ones are cut off.
pub(super) const MAX_RESPONSE_READ: usize = 32 << 20;
/// How much of a log an invocation's answer may carry.
/// Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html> (`LogType`: the last 4 KB).
pub const LOG_TAIL: usize = 4096;
/// How long a runtime may take before its first invocation without that counting against the function's timeout.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html> (Init phase, 10 seconds).
pub(super) const INIT: Duration = Duration::from_secs(10);
/// Processes and threads of one function. Source: as for [`MAX_RESPONSE`].
pub const MAX_PROCESSES: u64 = 1024;
/// Open files of one function. Source: as above.
pub(super) const MAX_OPEN_FILES: u64 = 1024;
/// Functions running at once in an account. Source: as above.
pub const MAX_CONCURRENCY: usize = 1000;
/// A process whose credentials end sooner than this is not given another invocation.
pub(super) const CREDENTIALS_LEFT: Duration = Duration::from_secs(300);
/// An idle process ends after this long.
pub const IDLE: Duration = Duration::from_secs(600);
/// Calls of the Runtime API that may wait for one process; its runtime and each of its ten extensions make one at a time.
pub(super) const CALLS: usize = 16;
/// How long extensions may take to end.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html> (Shutdown phase, 2,000 ms).
pub(super) const SHUTDOWN: Duration = Duration::from_secs(2);
/// How long others wait for a start at least. One that takes longer, and for half of this time wants no processor, waits for
/// something else, and others may start meanwhile. Importing boto3 takes half of it.
pub(super) const TURN: Duration = Duration::from_millis(500);
