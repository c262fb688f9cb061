//! A mail as it travels: headers and a text in Base64. Pure. Source: RFC 5322, RFC 2045, RFC 2047

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::Timestamp;

/// What a mail is made of.
pub(super) struct Letter<'a> {
    /// The relay's sender: an address, or a name with an address in brackets.
    pub(super) from: &'a str,
    /// The sender's name, where it is another.
    pub(super) sender: Option<&'a str>,
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    pub(super) id: &'a str,
    pub(super) at: Timestamp,
    pub(super) text: &'a str,
}

/// The address in `Name <address>` or `address`.
pub(super) fn address(from: &str) -> Option<&str> {
    let address = match from.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>')?,
        None => from,
    };
    let fine = address.bytes().all(|b| b.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&b))
        && address.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    fine.then_some(address)
}

/// A header's text, in words that any relay takes.
fn words(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.is_ascii() {
        return plain;
    }
    let (mut out, mut chunk) = (Vec::new(), String::new());
    for c in plain.chars() {
        // An encoded word has at most 75 characters, and holds whole characters.
        if chunk.len() + c.len_utf8() > 42 {
            out.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    out.push(chunk);
    let word = |chunk: &String| format!("=?utf-8?B?{}?=", STANDARD.encode(chunk));
    out.iter().map(word).collect::<Vec<_>>().join("\r\n ")
}

fn mailbox(name: Option<&str>, address: &str) -> String {
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        None => address.to_owned(),
        Some(name) if name.is_ascii() => {
            let quoted: String = name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
            format!("\"{quoted}\" <{address}>")
        }
        Some(name) => format!("{} <{address}>", words(name)),
    }
}

/// `Thu, 01 Jan 2026 00:00:00 +0000`.
fn date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let iso = at.iso_millis();
    let day = DAYS[at.micros().div_euclid(86_400_000_000).rem_euclid(7) as usize];
    let month = iso[5..7].parse::<usize>().map_or("Jan", |month| MONTHS[(month - 1) % 12]);
    format!("{day}, {} {month} {} {} +0000", &iso[8..10], &iso[..4], &iso[11..19])
}

impl Letter<'_> {
    /// The whole of it, with line ends as they travel.
    pub(super) fn bytes(&self) -> String {
        let address = address(self.from).unwrap_or(self.from);
        let own = self.from.rsplit_once('<').map(|(name, _)| name.trim().trim_matches('"'));
        let id: String = self.id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '.' }).collect();
        let domain = address.rsplit('@').next().unwrap_or("localhost");
        let mut out = format!(
            "From: {}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{id}@{domain}>\r\nMIME-Version: 1.0\r\n\
             Auto-Submitted: auto-generated\r\nContent-Type: text/plain; charset=UTF-8\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n",
            mailbox(self.sender.or(own), address),
            self.to,
            words(self.subject),
            date(self.at),
        );
        // Base64 has no lines that begin with a dot, nor any too long once they are cut.
        for line in STANDARD.encode(self.text).as_bytes().chunks(76) {
            out.extend(line.iter().map(|b| char::from(*b)));
            out.push_str("\r\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address("Alarms <a@example.com>"), Some("a@example.com"));
        assert_eq!(address("a@example.com"), Some("a@example.com"));
        for wrong in ["a", "A <a@example.com", "a@example.com>\r\nBcc: b@example.com", "@example.com"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mail_in_full() {
        let mut letter = Letter {
            from: "Alarms <a@example.com>",
            sender: None,
            to: "ann@example.com",
            subject: "Gone\r\nBcc: b@example.com",
            id: "m/1",
            at: Timestamp::from_millis(1_767_225_600_000),
            text: "hällo",
        };
        let plain = "From: \"Alarms\" <a@example.com>\r\nTo: ann@example.com\r\nSubject: Gone  Bcc: b@example.com\r\n\
                     Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <m.1@example.com>\r\nMIME-Version: 1.0\r\n\
                     Auto-Submitted: auto-generated\r\nContent-Type: text/plain; charset=UTF-8\r\n\
                     Content-Transfer-Encoding: base64\r\n\r\naMOkbGxv\r\n";
        assert_eq!(letter.bytes(), plain);
        letter.sender = Some("Störung");
        assert!(letter.bytes().starts_with("From: =?utf-8?B?U3TDtnJ1bmc=?= <a@example.com>\r\n"));
        let text = "x".repeat(10_000);
        letter.text = &text;
        assert!(letter.bytes().lines().all(|line| line.len() <= 998));
    }
}
