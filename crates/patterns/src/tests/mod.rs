//! Verdicts and refusals as AWS documents and gives them, and properties that hold for any pattern and event.

mod explained;
mod hostile;
mod oracle;
mod properties;
mod refusals;
mod verdicts;
