//! What is advised makes the finding go away, and can be taken back.

use fault::Severity;
use goenv::fix::Plan;

use crate::rows::rows;
use crate::world::world;

/// A fix that can be carried out makes its finding go away, and rolling back brings it back.
#[test]
fn fixes_that_can_be_carried_out_remove_the_finding() {
    let mut tried = 0;
    for (what, rule, steps) in rows() {
        let world = world(steps);
        let found = world.findings();
        let finding = found.iter().find(|finding| finding.rule == *rule);
        let finding = finding.unwrap_or_else(|| panic!("{what}: {found:?}"));
        let Some(fix) = finding.fixes.first().filter(|fix| fix.is_applicable()) else {
            continue;
        };
        let plan = Plan::of(fix, &world.environment(), &world.at("project"));
        let applied = plan
            .and_then(Plan::apply)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let left = world.findings();
        let is_left = left.iter().any(|left| {
            left.rule == *rule
                && left.place == finding.place
                && left.fact("entry") == finding.fact("entry")
        });
        assert!(!is_left, "{what}: {fix:?}");
        applied.roll_back().unwrap();
        assert_eq!(world.findings(), found, "{what}");
        tried += 1;
    }
    println!("{tried} fixes carried out and taken back");
    assert!(tried >= 10, "{tried}");
}

/// Setting a variable as the fix says makes the finding go away, too.
#[test]
fn variables_set_as_advised_remove_the_finding() {
    let mut tried = 0;
    for (what, rule, steps) in rows() {
        let mut world = world(steps);
        let found = world.findings();
        let finding = found.iter().find(|finding| finding.rule == *rule);
        let finding = finding.unwrap_or_else(|| panic!("{what}: {found:?}"));
        let Some(fix) = finding.fixes.first() else {
            continue;
        };
        let [goenv::fix::Change::Variable { name, value, .. }] = fix.changes.as_slice() else {
            continue;
        };
        world.set(name, value.as_deref().unwrap_or_default());
        let left = world.findings();
        assert!(
            !left.iter().any(|left| left.rule == *rule),
            "{what}: {fix:?} {left:?}"
        );
        let worse = left.iter().find(|left| {
            left.severity == Severity::Fault && !found.iter().any(|before| before.rule == left.rule)
        });
        assert_eq!(worse, None, "{what}: {fix:?}");
        tried += 1;
    }
    println!("{tried} variables set as advised");
    assert!(tried >= 30, "{tried}");
}
