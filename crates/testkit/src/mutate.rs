use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use fastrand::Rng;

/// Bytes that many formats give a meaning to, to be put where they do not belong.
const TELLING: [&[u8]; 16] = [
    b"\n",
    b"\n\n",
    b"\0",
    b" ",
    b"/",
    b"..",
    b"@",
    b"!",
    b"PK\x05\x06",
    b"PK\x01\x02",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    "\u{2014} ".as_bytes(),
    "\u{e9}".as_bytes(),
    b"=",
    b"99999999999999999999",
];

/// The longest input that mutation makes, in bytes.
const LONGEST: usize = 64 << 10;

/// The files below `folder` with what is in them, sorted by path: a corpus of a fuzzer.
pub fn corpus(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read the corpus {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a readable folder").path();
        if path.is_dir() {
            files.extend(corpus(&path));
        } else {
            let data = fs::read(&path).expect("a file of a corpus");
            files.push((path, data));
        }
    }
    files.sort();
    files
}

/// Gives `rounds` inputs to `property`, each made from one of `seeds` by a few changes: what a fuzzer does, but the same
/// inputs at each run, and without looking where they lead. An input that makes the property panic is printed in hex.
/// Returns how many inputs the property says to have accepted.
pub fn mutation_run(seeds: &[Vec<u8>], rounds: usize, property: impl Fn(&[u8]) -> bool) -> usize {
    assert!(!seeds.is_empty(), "a corpus without files");
    let mut random = Rng::with_seed(0x6d6f_646b_6565_7021);
    let mut accepted = 0;
    for _ in 0..rounds {
        let mut input = pick(&mut random, seeds).to_vec();
        for _ in 0..random.usize(1..5) {
            change(&mut random, &mut input, seeds);
        }
        input.truncate(LONGEST);
        match catch_unwind(AssertUnwindSafe(|| property(&input))) {
            Ok(is_accepted) => accepted += usize::from(is_accepted),
            Err(panic) => {
                println!("input: {}", hex::encode(&input));
                resume_unwind(panic);
            }
        }
    }
    accepted
}

fn pick<'s>(random: &mut Rng, seeds: &'s [Vec<u8>]) -> &'s [u8] {
    &seeds[random.usize(..seeds.len())]
}

fn change(random: &mut Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = random.usize(..=input.len());
    let end = (at + random.usize(1..=16)).min(input.len());
    match random.u8(..9) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => {
            let doubled = input[at..end].to_vec();
            input.splice(at..at, doubled);
        }
        3 => {
            let telling = TELLING[random.usize(..TELLING.len())];
            input.splice(at..at, telling.iter().copied());
        }
        4 => {
            let telling = TELLING[random.usize(..TELLING.len())];
            let end = (at + telling.len()).min(input.len());
            input.splice(at..end, telling.iter().copied());
        }
        5 => {
            // A piece of another file, of any length.
            let other = pick(random, seeds);
            let from = random.usize(..=other.len());
            let to = random.usize(from..=other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        6 if at < input.len() => input[at] = random.u8(..),
        7 if at < input.len() => {
            let little = random.u8(1..4);
            input[at] = if random.bool() {
                input[at].wrapping_add(little)
            } else {
                input[at].wrapping_sub(little)
            };
        }
        _ if at < input.len() => input[at] ^= 1 << random.u8(..8),
        _ => input.push(random.u8(..)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_run_gives_the_same_inputs_each_time_and_changes_them() {
        let seeds = [b"one line\n".to_vec(), Vec::new()];
        let inputs = || {
            let seen = RefCell::new(Vec::new());
            let accepted = mutation_run(&seeds, 500, |input| {
                seen.borrow_mut().push(input.to_vec());
                input.is_empty()
            });
            (seen.into_inner(), accepted)
        };
        let (first, accepted) = inputs();
        assert_eq!(inputs(), (first.clone(), accepted));
        let mut different = first.clone();
        different.sort();
        different.dedup();
        assert!(different.len() > 250, "{}", different.len());
        assert_eq!(
            accepted,
            first.iter().filter(|input| input.is_empty()).count()
        );
    }
}
