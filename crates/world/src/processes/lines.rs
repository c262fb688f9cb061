use super::{Line, MAX_LINE, Output};
use crate::BoxFuture;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe::Receiver;

/// How much one read takes.
const PIECE: usize = 16 << 10;

/// A pipe read as lines. It buffers one unfinished line and what one read brought; the rest waits in the kernel's pipe,
/// which is what slows the writer.
pub(super) struct PipeLines {
    pipe: Receiver,
    unfinished: Vec<u8>,
    ready: VecDeque<Line>,
    ended: bool,
}

impl PipeLines {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<PipeLines> {
        let pipe = Receiver::from_owned_fd(pipe)?;
        Ok(PipeLines { pipe, unfinished: Vec::new(), ready: VecDeque::new(), ended: false })
    }

    /// Reads once, past Tokio's notion of readiness, which may lag behind the pipe. `WouldBlock` where there is nothing.
    fn read(&mut self, most: usize) -> io::Result<usize> {
        let mut buffer = [0; PIECE];
        let n = rustix::io::read(&self.pipe, &mut buffer[..most.min(PIECE)])?;
        self.took(&buffer[..n]);
        Ok(n)
    }

    fn took(&mut self, bytes: &[u8]) {
        self.take(bytes);
        if bytes.is_empty() {
            self.finish_line();
            self.ended = true;
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.extend(&bytes[..end]);
            self.hand_out(false);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        while self.unfinished.len() > MAX_LINE {
            let rest = self.unfinished.split_off(MAX_LINE);
            self.hand_out(true);
            self.unfinished = rest;
        }
    }

    fn hand_out(&mut self, cut: bool) {
        let line = std::mem::take(&mut self.unfinished);
        self.ready.push_back(Line { text: String::from_utf8_lossy(&line).into_owned(), cut });
    }

    fn finish_line(&mut self) {
        if !self.unfinished.is_empty() {
            self.hand_out(false);
        }
    }

    async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            match self.wait_and_read().await {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot read what a child wrote");
                    return None;
                }
            }
        }
    }

    async fn wait_and_read(&mut self) -> io::Result<()> {
        self.pipe.readable().await?;
        let mut buffer = [0; PIECE];
        let n = self.pipe.try_read(&mut buffer)?;
        self.took(&buffer[..n]);
        Ok(())
    }
}

impl Output for PipeLines {
    fn line(&mut self) -> BoxFuture<'_, Option<Line>> {
        Box::pin(self.next())
    }

    fn written(&mut self) -> Vec<Line> {
        // A writer that never stops must not hold the reader: take what the pipe holds now and no more.
        let mut left = rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0) as usize;
        while left > 0 {
            match self.read(left) {
                Ok(n) if n > 0 => left -= n,
                _ => break,
            }
        }
        self.finish_line();
        self.ready.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pipe() -> (PipeLines, std::io::PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        (PipeLines::new(reader.into()).unwrap(), writer)
    }

    #[tokio::test]
    async fn lines_come_whole_and_in_order() {
        let (mut lines, mut writer) = pipe();
        writer.write_all(b"one\ntw").unwrap();
        assert_eq!(lines.line().await.as_deref(), Some("one"));
        writer.write_all(b"o\n\nlast").unwrap();
        assert_eq!(lines.line().await.as_deref(), Some("two"));
        assert_eq!(lines.line().await.as_deref(), Some(""));
        drop(writer);
        assert_eq!(lines.line().await.as_deref(), Some("last"));
        assert_eq!(lines.line().await, None);
    }

    #[tokio::test]
    async fn what_was_written_before_is_taken_without_waiting() {
        let (mut lines, mut writer) = pipe();
        writer.write_all(b"a\nb\nno end").unwrap();
        let written: Vec<_> = lines.written().into_iter().map(|line| line.text).collect();
        assert_eq!(written, ["a", "b", "no end"]);
        assert!(lines.written().is_empty());
    }

    #[tokio::test]
    async fn endless_lines_are_split() {
        let (mut lines, mut writer) = pipe();
        let thread = std::thread::Builder::new()
            .spawn(move || writer.write_all(&[vec![b'x'; 2 * MAX_LINE + 7], vec![b'\n'; 2]].concat()).unwrap())
            .unwrap();
        for expected in [(MAX_LINE, true), (MAX_LINE, true), (7, false), (0, false)] {
            assert_eq!(lines.line().await.map(|line| (line.len(), line.cut)), Some(expected));
        }
        thread.join().unwrap();
    }
}
