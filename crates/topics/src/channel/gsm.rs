//! The alphabets of text messages, and how long texts are cut into parts. Pure.
//! Source: 3GPP TS 23.038 (alphabets), TS 23.040 (concatenation)

/// The default alphabet, by code.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its extension: characters that take two codes, and the second of them.
const EXTENDED: [(char, u8); 10] = [
    ('\u{c}', 0x0a),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2f),
    ('[', 0x3c),
    ('~', 0x3d),
    (']', 0x3e),
    ('|', 0x40),
    ('€', 0x65),
];
const ESCAPE: u8 = 0x1b;
/// Codes of a message in one part, and of each part of a longer one.
const SEPTETS: (usize, usize) = (160, 153);
/// The same in units of UTF-16.
const UNITS: (usize, usize) = (70, 67);

/// How a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// The default alphabet, a code in each byte.
    Gsm7,
    /// UCS-2, big-endian.
    Ucs2,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) alphabet: Alphabet,
    pub(super) bytes: Vec<u8>,
}

/// The parts of a text: one, or several that belong together.
pub(super) fn parts(text: &str) -> Vec<Part> {
    match text.chars().map(code).collect::<Option<Vec<Vec<u8>>>>() {
        Some(codes) => cut(codes, SEPTETS).into_iter().map(|bytes| Part { alphabet: Alphabet::Gsm7, bytes }).collect(),
        None => {
            let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()).collect();
            let both = (UNITS.0 * 2, UNITS.1 * 2);
            let all = cut(text.chars().map(units).collect(), both);
            all.into_iter().map(|bytes| Part { alphabet: Alphabet::Ucs2, bytes }).collect()
        }
    }
}

fn code(c: char) -> Option<Vec<u8>> {
    if let Some((_, second)) = EXTENDED.iter().find(|(extended, _)| *extended == c) {
        return Some(vec![ESCAPE, *second]);
    }
    let at = BASIC.chars().position(|basic| basic == c && c != '\u{1b}')?;
    Some(vec![at as u8])
}

/// No character is cut in two.
fn cut(characters: Vec<Vec<u8>>, (alone, each): (usize, usize)) -> Vec<Vec<u8>> {
    if characters.iter().map(Vec::len).sum::<usize>() <= alone {
        return vec![characters.concat()];
    }
    let mut out = vec![Vec::new()];
    for character in characters {
        if out.last().is_some_and(|last| last.len() + character.len() > each) {
            out.push(Vec::new());
        }
        if let Some(last) = out.last_mut() {
            last.extend(character);
        }
    }
    out
}

/// The text of a message that came, as far as it can be read.
pub(super) fn text(bytes: &[u8], alphabet: Alphabet) -> String {
    match alphabet {
        Alphabet::Ucs2 => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        Alphabet::Gsm7 => {
            let (mut out, mut rest) = (String::new(), bytes.iter());
            while let Some(byte) = rest.next() {
                let c = match *byte {
                    ESCAPE => rest.next().and_then(|b| EXTENDED.iter().find(|(_, code)| code == b).map(|(c, _)| *c)),
                    byte => BASIC.chars().nth(usize::from(byte)),
                };
                out.push(c.unwrap_or('?'));
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabets() {
        assert_eq!(BASIC.chars().count(), 128);
        let said = "Alarm: cpu@web-1 [95%] für 10 €";
        let only = &parts(said)[0];
        assert_eq!((only.alphabet, text(&only.bytes, Alphabet::Gsm7).as_str()), (Alphabet::Gsm7, said));
        assert_eq!(only.bytes.len(), said.chars().count() + 3);
        let wide = &parts("тревога")[0];
        assert_eq!((wide.alphabet, wide.bytes.len()), (Alphabet::Ucs2, 14));
        assert_eq!(text(&wide.bytes, Alphabet::Ucs2), "тревога");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let lengths = |text: &str| parts(text).iter().map(|part| part.bytes.len()).collect::<Vec<_>>();
        assert_eq!(lengths(""), [0]);
        assert_eq!(lengths(&"a".repeat(160)), [160]);
        assert_eq!(lengths(&"a".repeat(161)), [153, 8]);
        assert_eq!(lengths(&format!("{}€{}", "a".repeat(152), "b".repeat(50))), [152, 52]);
        assert_eq!(lengths(&"я".repeat(70)), [140]);
        assert_eq!(lengths(&"я".repeat(71)), [134, 8]);
        assert_eq!(lengths(&format!("{}😀{}", "я".repeat(66), "я".repeat(10))), [132, 24]);
    }
}
