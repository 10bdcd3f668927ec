use std::collections::{BTreeMap, BTreeSet};

use gomod::mvs::{Node, NodeVersion, Outcome, Scope};
use proptest::prelude::*;

use super::naive::Naive;
use super::universe::{Shape, Universe, generate};
use super::walk;

fn version(node: &Node) -> String {
    match node.version() {
        NodeVersion::Main => String::new(),
        NodeVersion::Release(version) => version.to_string(),
        NodeVersion::Go(version) | NodeVersion::Toolchain(version) => version.to_string(),
    }
}

fn selected(outcome: &Outcome) -> BTreeMap<String, String> {
    let list = outcome.build_list();
    list.into_iter()
        .map(|node| (node.path().to_owned(), version(node)))
        .collect()
}

type Edge = ((String, String), (String, String));

fn edges(outcome: &Outcome) -> BTreeSet<Edge> {
    let name = |node: &Node| (node.path().to_owned(), version(node));
    outcome
        .edges()
        .map(|(from, to)| (name(from), name(to)))
        .collect()
}

fn naive(universe: &Universe) -> Naive<'_> {
    let mut naive = Naive::new(universe);
    naive.solve();
    naive
}

fn shapes() -> impl Strategy<Value = Shape> {
    (any::<u64>(), 1..14_usize, any::<bool>()).prop_map(|(seed, modules, workspace)| Shape {
        seed,
        modules,
        workspace,
        holes: false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_graph_is_that_of_the_naive_reference(shape in shapes(), order in any::<u64>()) {
        let universe = generate(shape);
        let mut random = fastrand::Rng::with_seed(order);
        let outcome = walk(&universe, Scope::All, |open| random.usize(..open));
        let naive = naive(&universe);
        prop_assert!(outcome.failures().is_empty() && !naive.missing, "{:?}", outcome.failures());
        prop_assert_eq!(selected(&outcome), naive.selected());
        prop_assert_eq!(edges(&outcome), naive.edges());
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(shape in shapes(), order in any::<u64>(), holes in any::<bool>()) {
        let universe = generate(Shape { holes, ..shape });
        let mut random = fastrand::Rng::with_seed(order);
        let first = walk(&universe, Scope::All, |_| 0);
        let other = walk(&universe, Scope::All, |open| random.usize(..open));
        prop_assert_eq!(first.build_list(), other.build_list());
        prop_assert_eq!(edges(&first), edges(&other));
        prop_assert_eq!(first.failures().len(), other.failures().len());
        prop_assert_eq!(first.raised(), other.raised());
    }

    #[test]
    fn what_is_missing_does_not_keep_the_others_from_being_read(shape in shapes()) {
        let universe = generate(Shape { holes: true, ..shape });
        let outcome = walk(&universe, Scope::All, |_| 0);
        let naive = naive(&universe);
        prop_assert_eq!(!outcome.failures().is_empty(), naive.missing);
        prop_assert_eq!(selected(&outcome), naive.selected());
        for failure in outcome.failures() {
            prop_assert_eq!(failure.chain.last(), Some(&failure.node));
            prop_assert!(matches!(failure.chain[0].version(), NodeVersion::Main));
        }
    }

    #[test]
    fn lazy_loading_gives_the_roots_or_the_whole_graph(shape in shapes()) {
        let universe = generate(shape);
        let whole = walk(&universe, Scope::All, |_| 0);
        let lazy = walk(&universe, Scope::Build, |_| 0);
        if lazy.only_roots() {
            // Nothing that the roots themselves require raises one of them.
            let roots = selected(&lazy);
            for ((from, at), (path, version)) in edges(&whole) {
                let is_root = !at.is_empty() && from.contains('/') && roots.get(&from) == Some(&at);
                if let Some(root) = roots.get(&path).filter(|_| is_root) {
                    prop_assert!(super::naive::compare(&path, root, &version).is_ge());
                }
            }
        } else {
            prop_assert_eq!(selected(&lazy), selected(&whole));
            prop_assert_eq!(edges(&lazy), edges(&whole));
        }
    }
}
