//! Random ids in the forms that AWS uses.

use crate::World;

const HEX: &[u8; 16] = b"0123456789abcdef";

impl World {
    /// A random UUID, version 4, in its usual text form.
    pub fn uuid(&self) -> String {
        let mut b = [0u8; 16];
        self.entropy.fill(&mut b);
        b[6] = b[6] & 0x0f | 0x40;
        b[8] = b[8] & 0x3f | 0x80;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (i, byte) in b.iter().enumerate() {
            at += usize::from(matches!(i, 4 | 6 | 8 | 10));
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        std::str::from_utf8(&text).expect("hexadecimal digits are ASCII").to_owned()
    }

    /// `len` random characters out of `A-Z2-7`, as IAM's unique ids use them.
    pub fn base32_id(&self, len: usize) -> String {
        let mut b = vec![0u8; len];
        self.entropy.fill(&mut b);
        b.iter().map(|b| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(b & 31) as usize] as char).collect()
    }

    /// `len` random lower-case hexadecimal characters, as EC2's ids use them.
    pub fn hex_id(&self, len: usize) -> String {
        let mut b = vec![0u8; len];
        self.entropy.fill(&mut b);
        b.iter().map(|b| char::from(HEX[usize::from(b & 15)])).collect()
    }
}
