use crate::Target;
use world::{Entropy, SeededEntropy};

/// Inputs are not longer than this.
const LONGEST: usize = 4096;
/// Values at which arithmetic turns over, and bytes that mean something in many formats.
const TELLING: [u8; 16] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'"', b'\\', b'{', b'[', b'%', b'/', b'=', b',', 0x5f, 0xbf];

/// Runs a target on its seeds, and on so many random changes of them. The same seed gives the same inputs; the one that does
/// harm is shown.
pub fn drive(target: &Target, seed: u64, runs: u64) {
    let random = SeededEntropy::new(seed);
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has seeds", target.name);
    seeds.iter().for_each(|input| run(target, input));
    let pick = |below: usize| random.below(below.max(1) as u64) as usize;
    let mut input = Vec::new();
    for _ in 0..runs {
        // Changes add up now and then, so that inputs get far from their seeds.
        if input.is_empty() || pick(4) > 0 {
            input.clone_from(&seeds[pick(seeds.len())]);
        }
        for _ in 0..=pick(6) {
            change(&mut input, &seeds[pick(seeds.len())], &pick);
        }
        input.truncate(LONGEST);
        run(target, &input);
    }
}

fn change(input: &mut Vec<u8>, other: &[u8], pick: &dyn Fn(usize) -> usize) {
    let at = pick(input.len() + 1);
    let byte = if pick(2) == 0 { TELLING[pick(TELLING.len())] } else { pick(256) as u8 };
    let end = at + pick((input.len() - at).min(64) + 1);
    match pick(8) {
        0 if at < input.len() => input[at] ^= 1u8 << pick(8),
        1 if at < input.len() => input[at] = byte,
        2 => input.insert(at, byte),
        3 => drop(input.drain(at..end)),
        4 => {
            let copy = input[at..end].to_vec();
            input.splice(at..at, copy);
        }
        5 => {
            let from = pick(other.len() + 1);
            let upto = from + pick((other.len() - from).min(64) + 1);
            input.splice(at..end, other[from..upto].iter().copied());
        }
        6 => input.truncate(at),
        _ => {
            let many = vec![byte; 1 + pick(40)];
            input.splice(at..end, many);
        }
    }
}

/// Shows an input if it panics.
struct Shown<'a>(&'a Target, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("{}: this input did harm: {hex}\n{}", self.0.name, String::from_utf8_lossy(self.1));
        }
    }
}

fn run(target: &Target, input: &[u8]) {
    let _shown = Shown(target, input);
    (target.run)(input);
}
