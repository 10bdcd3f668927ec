//! The scenarios of Go's tests of minimal version selection, as far as they are about building.

use super::vectors;
use crate::mvs::Scope;
use crate::mvs::tests::letters::Letters;

#[test]
fn build_lists() {
    let Some(file) = vectors("cmd-go/mvs_tests.txt") else {
        return;
    };
    let text = std::fs::read_to_string(file).unwrap();
    let mut rows = 0;
    for case in text.split("\nname: ").skip(1) {
        let lines = || {
            case.lines()
                .skip(1)
                .map(str::trim)
                .filter(|line| !line.is_empty())
        };
        let command = |line: &str| {
            line.split_once(':')
                .is_some_and(|(left, _)| left.contains(' '))
        };
        let letters = Letters::read(lines().filter(|line| !command(line)));
        for line in lines() {
            let Some((main, expected)) = line
                .strip_prefix("build ")
                .and_then(|row| row.split_once(':'))
            else {
                continue;
            };
            let mut expected: Vec<&str> = expected.split_whitespace().collect();
            expected[1..].sort_unstable();
            assert_eq!(
                letters.build(main, Scope::All),
                expected.join(" "),
                "{case}"
            );
            rows += 1;
        }
    }
    assert!(rows > 0, "no rows");
    println!("mvs_tests.txt: build: {rows} rows");
}
