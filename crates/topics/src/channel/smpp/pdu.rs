//! What travels: each unit is `length, command, status, sequence` (four bytes each, big-endian) and a body. Pure.

use std::fmt;

/// The longest unit that is read.
pub(super) const MOST: usize = 64 << 10;
const HEAD: usize = 16;

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pdu {
    pub(super) status: u32,
    pub(super) sequence: u32,
    pub(super) body: Body,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// `bind_transceiver`.
    Bind { system_id: String, password: String, system_type: String },
    /// `bind_transceiver_resp`.
    BindAnswer(String),
    /// `submit_sm`.
    Submit(Short),
    /// `submit_sm_resp`, with the message's id.
    SubmitAnswer(String),
    /// `deliver_sm`.
    Deliver(Short),
    /// `deliver_sm_resp`.
    DeliverAnswer,
    /// `enquire_link`.
    Enquire,
    /// `enquire_link_resp`.
    EnquireAnswer,
    /// `unbind`.
    Unbind,
    /// `unbind_resp`.
    UnbindAnswer,
    /// `generic_nack`.
    Nack,
    /// A command that is not spoken here.
    Other(u32),
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) esm_class: u8,
    pub(super) priority: u8,
    pub(super) registered: u8,
    pub(super) coding: u8,
    pub(super) message: Vec<u8>,
    /// `receipted_message_id`.
    pub(super) receipted: Option<String>,
}

/// Who a message is from or for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) kind: u8,
    pub(super) plan: u8,
    pub(super) text: String,
}

impl Address {
    /// A number in E.164 form.
    pub(super) fn of_number(number: &str) -> Address {
        Address { kind: 1, plan: 1, text: number.trim_start_matches('+').to_owned() }
    }

    /// A number, a short code or a name.
    pub(super) fn of_sender(sender: &str) -> Address {
        if sender.starts_with('+') {
            return Address::of_number(sender);
        }
        let kind = if sender.bytes().any(|b| !b.is_ascii_digit()) { 5 } else { 0 };
        Address { kind, plan: 0, text: sender.chars().filter(char::is_ascii).take(20).collect() }
    }
}

/// Bytes that are no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message centre does not speak SMPP")
    }
}

/// The statuses that matter here.
pub(super) mod status {
    /// No error.
    pub(in super::super) const OK: u32 = 0;
    const NAMES: [(u32, &str); 11] = [
        (0x01, "ESME_RINVMSGLEN"),
        (0x04, "ESME_RINVBNDSTS"),
        (0x05, "ESME_RALYBND"),
        (0x08, "ESME_RSYSERR"),
        (0x0a, "ESME_RINVSRCADR"),
        (0x0b, "ESME_RINVDSTADR"),
        (0x0d, "ESME_RBINDFAIL"),
        (0x0e, "ESME_RINVPASWD"),
        (0x0f, "ESME_RINVSYSID"),
        (0x14, "ESME_RMSGQFULL"),
        (0x58, "ESME_RTHROTTLED"),
    ];

    pub(in super::super) fn name(status: u32) -> String {
        let known = NAMES.iter().find(|(number, _)| *number == status);
        known.map_or_else(|| format!("status {status:#x}"), |(_, name)| (*name).to_owned())
    }

    /// Whether the same message may do later.
    pub(in super::super) fn passes(status: u32) -> bool {
        matches!(status, 0x04 | 0x08 | 0x14 | 0x58)
    }
}

impl Body {
    fn command(&self) -> u32 {
        match self {
            Body::Bind { .. } => 0x0000_0009,
            Body::BindAnswer(_) => 0x8000_0009,
            Body::Submit(_) => 0x0000_0004,
            Body::SubmitAnswer(_) => 0x8000_0004,
            Body::Deliver(_) => 0x0000_0005,
            Body::DeliverAnswer => 0x8000_0005,
            Body::Enquire => 0x0000_0015,
            Body::EnquireAnswer => 0x8000_0015,
            Body::Unbind => 0x0000_0006,
            Body::UnbindAnswer => 0x8000_0006,
            Body::Nack => 0x8000_0000,
            Body::Other(command) => *command,
        }
    }

    /// Whether it answers something.
    pub(super) fn is_answer(&self) -> bool {
        self.command() & 0x8000_0000 != 0
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|b| *b != 0));
    out.push(0);
}

fn address(out: &mut Vec<u8>, address: &Address) {
    out.extend_from_slice(&[address.kind, address.plan]);
    text(out, &address.text);
}

fn short(out: &mut Vec<u8>, short: &Short) {
    text(out, "");
    address(out, &short.source);
    address(out, &short.destination);
    out.extend_from_slice(&[short.esm_class, 0, short.priority]);
    // When to deliver, and until when: at once, and as the centre sees fit.
    out.extend_from_slice(&[0, 0]);
    let length = short.message.len().min(254);
    out.extend_from_slice(&[short.registered, 0, short.coding, 0, length as u8]);
    out.extend_from_slice(&short.message[..length]);
    if let Some(id) = &short.receipted {
        out.extend_from_slice(&RECEIPTED.to_be_bytes());
        out.extend_from_slice(&((id.len() + 1) as u16).to_be_bytes());
        text(out, id);
    }
}

const RECEIPTED: u16 = 0x001e;
const PAYLOAD: u16 = 0x0424;

impl Pdu {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        for number in [self.body.command(), self.status, self.sequence] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        match &self.body {
            Body::Bind { system_id, password, system_type } => {
                [system_id, password, system_type].into_iter().for_each(|one| text(&mut out, one));
                // Version 3.4; no addresses of its own.
                out.extend_from_slice(&[0x34, 0, 0, 0]);
            }
            Body::Submit(one) | Body::Deliver(one) => short(&mut out, one),
            Body::BindAnswer(one) | Body::SubmitAnswer(one) => text(&mut out, one),
            Body::DeliverAnswer => text(&mut out, ""),
            _ => {}
        }
        let length = out.len() as u32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        out
    }

    /// The first unit of some bytes and its length; nothing where it is not whole yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Pdu, usize)>, Broken> {
        let Some(length) = bytes.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(HEAD..=MOST).contains(&length) {
            return Err(Broken);
        }
        let Some(unit) = bytes.get(..length) else { return Ok(None) };
        let number = |at: usize| unit[at..at + 4].iter().fold(0, |n: u32, b| n << 8 | u32::from(*b));
        let (command, status, sequence) = (number(4), number(8), number(12));
        let mut reader = Reader(&unit[HEAD..]);
        let body = match command {
            0x0000_0009 => {
                Body::Bind { system_id: reader.text()?, password: reader.text()?, system_type: reader.text()? }
            }
            // Where there is an error, answers need no body.
            0x8000_0009 => Body::BindAnswer(reader.text().unwrap_or_default()),
            0x8000_0004 => Body::SubmitAnswer(reader.text().unwrap_or_default()),
            0x0000_0004 => Body::Submit(reader.short()?),
            0x0000_0005 => Body::Deliver(reader.short()?),
            0x8000_0005 => Body::DeliverAnswer,
            0x0000_0015 => Body::Enquire,
            0x8000_0015 => Body::EnquireAnswer,
            0x0000_0006 => Body::Unbind,
            0x8000_0006 => Body::UnbindAnswer,
            0x8000_0000 => Body::Nack,
            other => Body::Other(other),
        };
        Ok(Some((Pdu { status, sequence, body }, length)))
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.0.split_first().ok_or(Broken)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        Ok(taken.to_vec())
    }

    fn text(&mut self) -> Result<String, Broken> {
        let end = self.0.iter().position(|b| *b == 0).ok_or(Broken)?;
        let text = self.take(end)?;
        self.byte()?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn address(&mut self) -> Result<Address, Broken> {
        Ok(Address { kind: self.byte()?, plan: self.byte()?, text: self.text()? })
    }

    fn short(&mut self) -> Result<Short, Broken> {
        self.text()?;
        let (source, destination) = (self.address()?, self.address()?);
        let (esm_class, _, priority) = (self.byte()?, self.byte()?, self.byte()?);
        self.text()?;
        self.text()?;
        let (registered, _, coding, _) = (self.byte()?, self.byte()?, self.byte()?, self.byte()?);
        let length = self.byte()?;
        let message = self.take(usize::from(length))?;
        let mut short =
            Short { source, destination, esm_class, priority, registered, coding, message, receipted: None };
        while !self.0.is_empty() {
            let tag = u16::from_be_bytes([self.byte()?, self.byte()?]);
            let length = u16::from_be_bytes([self.byte()?, self.byte()?]);
            let value = self.take(usize::from(length))?;
            match tag {
                RECEIPTED => {
                    let id = value.split(|b| *b == 0).next().unwrap_or_default();
                    short.receipted = Some(String::from_utf8_lossy(id).into_owned());
                }
                PAYLOAD => short.message = value,
                _ => {}
            }
        }
        Ok(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::{Entropy, SeededEntropy};

    fn some() -> Vec<Body> {
        let short = Short {
            source: Address::of_sender("Ops"),
            destination: Address::of_number("+15551230000"),
            esm_class: 0x40,
            priority: 1,
            registered: 1,
            coding: 8,
            message: vec![5, 0, 3, 1, 2, 1, 0, 65],
            receipted: Some("id-1".into()),
        };
        vec![
            Body::Bind { system_id: "me".into(), password: "pw".into(), system_type: String::new() },
            Body::BindAnswer("centre".into()),
            Body::Submit(short.clone()),
            Body::SubmitAnswer("17".into()),
            Body::Deliver(short),
            Body::DeliverAnswer,
            Body::Enquire,
            Body::EnquireAnswer,
            Body::Unbind,
            Body::UnbindAnswer,
            Body::Nack,
        ]
    }

    #[test]
    fn units_go_there_and_back_and_are_not_read_in_part() {
        for body in some() {
            let pdu = Pdu { status: 0, sequence: 7, body };
            let bytes = pdu.encode();
            assert_eq!(Pdu::decode(&bytes), Ok(Some((pdu, bytes.len()))));
            for cut in 0..bytes.len() {
                assert_eq!(Pdu::decode(&bytes[..cut]), Ok(None));
            }
        }
    }

    #[test]
    fn bytes_as_the_specification_writes_them() {
        let body =
            Body::Bind { system_id: "SMPP3TEST".into(), password: "secret08".into(), system_type: "SUBMIT1".into() };
        let bytes = Pdu { status: 0, sequence: 1, body }.encode();
        let golden = b"\0\0\0\x2f\0\0\0\x09\0\0\0\0\0\0\0\x01SMPP3TEST\0secret08\0SUBMIT1\0\x34\0\0\0";
        assert_eq!(bytes, golden);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let entropy = SeededEntropy::new(7);
        for round in 0..20_000 {
            let mut bytes = if round % 2 == 0 {
                let bodies = some();
                let body = bodies[entropy.below(bodies.len() as u64) as usize].clone();
                Pdu { status: 0, sequence: 1, body }.encode()
            } else {
                let mut bytes = vec![0; entropy.below(80) as usize];
                entropy.fill(&mut bytes);
                bytes
            };
            for _ in 0..entropy.below(4) {
                if !bytes.is_empty() {
                    let at = entropy.below(bytes.len() as u64) as usize;
                    bytes[at] = entropy.u64() as u8;
                }
            }
            if let Ok(Some((pdu, length))) = Pdu::decode(&bytes) {
                assert!(length <= bytes.len());
                let again = pdu.encode();
                assert!(matches!(Pdu::decode(&again), Ok(Some(_))), "{pdu:?}");
            }
        }
    }

    #[test]
    fn senders() {
        assert_eq!(
            (Address::of_sender("+1555").kind, Address::of_sender("Ops").kind, Address::of_sender("55").kind),
            (1, 5, 0)
        );
    }
}
