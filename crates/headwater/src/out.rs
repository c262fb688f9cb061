//! What commands print. A reader that has seen enough (`headwater tail WHAT | head`) ends the printing and nothing else: a
//! command that changes something does so to its end.

use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::sync::OnceLock;

/// Why nothing more can be printed.
static CLOSED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line.
macro_rules! say {
    ($($text:tt)*) => { crate::out::line(format_args!($($text)*)) };
}
pub(crate) use say;

pub fn line(text: Arguments<'_>) {
    if CLOSED.get().is_none()
        && let Err(error) = writeln!(io::stdout(), "{text}")
    {
        // Only the first matters.
        let _ = CLOSED.set(error);
    }
}

/// Whether nobody reads any more.
pub fn is_closed() -> bool {
    CLOSED.get().is_some()
}

/// What went wrong, where it was not the reader who had enough.
pub fn failure() -> Option<&'static io::Error> {
    CLOSED.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}
