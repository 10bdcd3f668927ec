//! Rules that hold for every log and every input.

use proptest::collection::vec;
use proptest::prelude::*;
use sumdb::client::{RemoteError, run};
use sumdb::log::{LogReader as _, LogWriter, Resource, serve};
use sumdb::note::Note;
use sumdb::record::Part;
use sumdb::tile::{Height, Tile, TileLevel, new_tiles};
use sumdb::tlog::{
    ConsistencyProof, Frontier, Hash, HashReader, InclusionProof, Node, TreeHead,
    stored_hash_count, tree_root,
};
use sumdb::{Error, Fork};

use crate::corpus::parse_everything;
use crate::support::{
    MemoryLog, World, client, entries, entry, h1, keys, log_of, nth_module, read_log,
};

/// The root as RFC 6962 defines it, from the leaves alone.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_empty_tree(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Hash::of_node(naive_root(left), naive_root(right))
        }
    }
}

/// Reads the hash of a node by computing it from the leaves.
struct NaiveTree(Vec<Hash>);

impl NaiveTree {
    fn of(size: usize) -> Self {
        Self(
            (0..size)
                .map(|n| Hash::of_record(format!("record {n}\n").as_bytes()))
                .collect(),
        )
    }

    fn head(&self, size: usize) -> TreeHead {
        TreeHead::new(size as u64, naive_root(&self.0[..size])).expect("small")
    }
}

impl HashReader for NaiveTree {
    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Error> {
        let hash = |node: &Node| {
            let end = usize::try_from(node.end()).expect("small");
            naive_root(&self.0[end - (1 << node.level())..end])
        };
        Ok(nodes.iter().map(hash).collect())
    }
}

fn index() -> impl Strategy<Value = prop::sample::Index> {
    any::<prop::sample::Index>()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn batches_have_the_root_of_the_naive_tree(batches in vec(0..60_u64, 1..8)) {
        let mut log = MemoryLog::default();
        let mut writer = LogWriter::open(keys(), &mut log).expect("an empty log");
        let mut size = 0;
        for batch in batches {
            writer.append(&entries(size..size + batch), &mut log).expect("an append");
            size += batch;
            let leaves: Vec<Hash> = log.records.iter().map(|record| record.text.hash()).collect();
            let tree = log.published().expect("a store").expect("heads").tree().expect("a head");
            prop_assert_eq!(tree.root(), naive_root(&leaves));
            prop_assert_eq!(tree.size(), size);
            prop_assert_eq!(log.hashes.len() as u64, stored_hash_count(size));
        }
    }

    #[test]
    fn every_served_record_is_proven_by_every_height(size in 1..400_u64, which in index(), height in 1..=10_u8) {
        let log = log_of(size);
        let n = which.index(usize::try_from(size).expect("small")) as u64;
        let record = run(client(height).lookup(nth_module(n)), &World::of(&log)).expect("a proven record");
        prop_assert_eq!(record.id(), n);
        prop_assert_eq!(record.h1(Part::Zip).expect("a hash"), h1(&format!("zip {n}")));
    }

    #[test]
    fn a_client_follows_a_growing_log(sizes in vec(1..400_u64, 2..6), height in 1..=8_u8) {
        let client = client(height);
        let mut largest = 0;
        let mut world = World::new(|_| Err(RemoteError::Absent(String::new())));
        let newest = log_of(400);
        for size in sizes {
            let log = log_of(size);
            let next = world.with_server(|path| {
                // Old lookups and heads come from caches on the way; tiles are there up to the newest.
                read_log(if path.starts_with("/tile/") { &newest } else { &log }, path)
            });
            run(client.lookup(nth_module(size - 1)), &next).expect("a proven record");
            largest = largest.max(size);
            prop_assert_eq!(client.latest().expect("a head").tree().size(), largest);
            world = next.with_server(|_| Err(RemoteError::Absent(String::new())));
        }
    }

    #[test]
    fn an_altered_answer_never_gives_another_hash(
        position in index(),
        byte in any::<u8>(),
        path_choice in index(),
        cut in any::<bool>(),
    ) {
        let log = log_of(70);
        let honest = World::of(&log);
        run(client(2).lookup(nth_module(33)), &honest).expect("a proven record");
        let paths = honest.take_asked();
        let spoiled = &paths[path_choice.index(paths.len())];
        let world = World::new(|path| {
            let mut data = read_log(&log, path)?;
            if path == spoiled {
                let position = position.index(data.len());
                data[position] = byte;
                if cut {
                    data.truncate(position);
                }
            }
            Ok(data)
        });
        if let Ok(record) = run(client(2).lookup(nth_module(33)), &world) {
            prop_assert_eq!(record.id(), 33);
            prop_assert_eq!(record.h1(Part::Zip).expect("a hash"), h1("zip 33"));
            prop_assert_eq!(record.h1(Part::GoMod).expect("a hash"), h1("mod 33"));
        }
        for (key, data) in world.cache.borrow().iter().filter(|(key, _)| key.contains("/tile/")) {
            let path = key.strip_prefix("sum.example.com").expect("a key of this database");
            prop_assert_eq!(&read_log(&log, path).expect("a tile"), data);
        }
    }

    #[test]
    fn new_tiles_are_those_that_changed(height in 1..=4_u8, sizes in [0..300_u64, 0..300_u64]) {
        let height = Height::new(height).expect("a height");
        let [old, new] = { let mut sizes = sizes; sizes.sort_unstable(); sizes };
        let all = |size| new_tiles(height, 0, size);
        let (before, after) = (all(old), all(new));
        let changed: Vec<Tile> = after.iter().filter(|tile| !before.contains(tile)).copied().collect();
        prop_assert_eq!(new_tiles(height, old, new), changed);
        for tile in after {
            prop_assert!(tile.end_record().is_some_and(|end| end <= new));
        }
    }

    #[test]
    fn tile_paths_read_back(
        height in 1..=30_u8, level in 0..=64_u8, index in 0..=i64::MAX.cast_unsigned(), width in index(),
    ) {
        let height = Height::new(height).expect("a height");
        let level = if level == 64 { TileLevel::Data } else { TileLevel::Hashes(level) };
        let width = width.index(height.full_width() as usize) + 1;
        let tile = Tile::new(height, level, index, u32::try_from(width).expect("small")).expect("a tile");
        prop_assert_eq!(Tile::parse_path(&tile.path()).expect("a path"), tile);
        if let Some(path) = tile.c2sp_path() {
            prop_assert_eq!(Tile::parse_c2sp_path(&path).expect("a path"), tile);
            prop_assert!(Tile::parse_path(&path).is_err(), "{} is both", path);
        }
        prop_assert!(Tile::parse_c2sp_path(&tile.path()).is_err());
    }

    #[test]
    fn stored_positions_read_back(position in 0..=u64::MAX) {
        if let Some(node) = Node::from_stored_index(position) {
            prop_assert_eq!(node.stored_index(), position);
        } else {
            prop_assert!(position > stored_hash_count(i64::MAX.cast_unsigned()) - 64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_bytes_make_a_parser_panic(data in vec(any::<u8>(), 0..200)) {
        parse_everything(&data);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[0-9a-zA-Z+=/. \n—@x!-]{0,120}") {
        parse_everything(text.as_bytes());
    }

    #[test]
    fn paths_that_are_accepted_are_canonical(path in "tile/([0-9]{1,2}|data|entries|x[0-9]{3}|[0-9]{3}|/|\\.p/){1,8}") {
        if let Ok(tile) = Tile::parse_path(&path) {
            prop_assert_eq!(tile.path(), path.clone());
        }
        if let Ok(tile) = Tile::parse_c2sp_path(&path) {
            prop_assert_eq!(tile.c2sp_path(), Some(path));
        }
    }

    #[test]
    fn notes_that_are_accepted_read_back(
        text in "[a-z —\n]{0,40}\n",
        names in vec("[a-z.]{1,8}", 1..5),
        bytes in vec(any::<u8>(), 5..40),
    ) {
        let body = Hash::from_bytes([7; 32]).to_string();
        let lines = names.iter().fold(String::new(), |lines, name| lines + &format!("— {name} {body}\n"));
        let message = format!("{text}\n{lines}");
        let note = Note::parse(message.as_bytes()).expect("a note");
        prop_assert_eq!(note.to_string(), message.clone());
        prop_assert_eq!(note.text(), text);

        let mut spoiled = message.into_bytes();
        let at = usize::from(bytes[0]) % spoiled.len();
        spoiled.splice(at..at, bytes);
        if let Ok(note) = Note::parse(&spoiled) {
            let again = Note::parse(note.to_string().as_bytes()).expect("a note");
            prop_assert_eq!(again, note);
        }
    }
}

#[test]
fn every_proof_of_small_trees_verifies_and_no_altered_one_does() {
    let tree = NaiveTree::of(33);
    for size in 1..=33_usize {
        let head = tree.head(size);
        assert_eq!(tree_root(size as u64, &tree).expect("a root"), head.root());
        for n in 0..size {
            let leaf = tree.0[n];
            let proof = InclusionProof::prove(n as u64, size as u64, &tree).expect("a proof");
            proof
                .verify(n as u64, leaf, &head)
                .expect("the proof is right");
            for altered in altered(proof.hashes()) {
                assert!(
                    InclusionProof::from_hashes(altered)
                        .verify(n as u64, leaf, &head)
                        .is_err()
                );
            }
            assert!(proof.verify(n as u64, tree.0[(n + 1) % 33], &head).is_err());
            for other in (0..=size).filter(|&other| other != n) {
                assert!(
                    proof.verify(other as u64, leaf, &head).is_err(),
                    "{n} of {size} at {other}"
                );
            }
        }
        for old in 1..=size {
            let older = tree.head(old);
            let proof = ConsistencyProof::prove(old as u64, size as u64, &tree).expect("a proof");
            proof.verify(&older, &head).expect("the proof is right");
            for altered in altered(proof.hashes()) {
                assert!(
                    ConsistencyProof::from_hashes(altered)
                        .verify(&older, &head)
                        .is_err()
                );
            }
            let false_older = TreeHead::new(old as u64, Hash::of_empty_tree()).expect("small");
            assert!(proof.verify(&false_older, &head).is_err());
            assert!(
                proof
                    .verify(
                        &older,
                        &TreeHead::new(size as u64, Hash::of_empty_tree()).expect("small")
                    )
                    .is_err()
            );
        }
    }
}

/// The proof with one hash changed, one missing, one more.
fn altered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let stranger = Hash::of_record(b"stranger");
    let changed = (0..proof.len()).map(|n| {
        let mut proof = proof.to_vec();
        proof[n] = stranger;
        proof
    });
    let longer = [proof, &[stranger]].concat();
    let shorter = proof.split_last().map(|(_, rest)| rest.to_vec());
    changed.chain([longer]).chain(shorter).collect()
}

#[test]
fn proofs_of_nothing_and_beyond_the_tree_are_refused() {
    let tree = NaiveTree::of(8);
    for (index, size) in [(0, 0), (8, 8), (9, 8), (u64::MAX, 8)] {
        assert!(matches!(
            InclusionProof::prove(index, size, &tree),
            Err(Error::OutsideTree { .. })
        ));
    }
    for (old, new) in [(0, 0), (0, 8), (9, 8)] {
        assert!(matches!(
            ConsistencyProof::prove(old, new, &tree),
            Err(Error::OutsideTree { .. })
        ));
    }
    let empty = TreeHead::empty();
    assert!(
        ConsistencyProof::from_hashes(Vec::new())
            .verify(&empty, &tree.head(8))
            .is_err()
    );
    assert!(
        InclusionProof::from_hashes(Vec::new())
            .verify(0, tree.0[0], &empty)
            .is_err()
    );
}

#[test]
fn a_frontier_read_back_grows_like_the_first() {
    let tree = NaiveTree::of(70);
    let mut grown = Frontier::new();
    for (size, &leaf) in tree.0.iter().enumerate() {
        assert_eq!(
            Frontier::read(size as u64, &tree).expect("a frontier"),
            grown
        );
        assert_eq!(grown.root(), naive_root(&tree.0[..size]));
        let mut stored = Vec::new();
        grown.append(leaf, &mut stored).expect("room");
        let first = stored_hash_count(size as u64);
        for (position, hash) in (first..).zip(stored) {
            let node = Node::from_stored_index(position).expect("a node");
            assert_eq!(tree.read_hashes(&[node]).expect("a hash"), [hash]);
        }
    }
}

#[test]
fn the_greatest_sizes_do_not_overflow() {
    struct Nothing;
    impl HashReader for Nothing {
        fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Error> {
            Ok(vec![Hash::of_empty_tree(); nodes.len()])
        }
    }
    let greatest = i64::MAX.cast_unsigned();
    let head = TreeHead::new(greatest, Hash::of_empty_tree()).expect("a head");
    assert!(TreeHead::new(greatest + 1, Hash::of_empty_tree()).is_none());
    let inclusion = InclusionProof::prove(greatest - 1, greatest, &Nothing).expect("a proof");
    assert!(
        inclusion
            .verify(greatest - 1, Hash::of_empty_tree(), &head)
            .is_err()
    );
    let consistency = ConsistencyProof::prove(greatest - 1, greatest, &Nothing).expect("a proof");
    assert!(consistency.verify(&head, &head).is_err());
    assert!(
        Frontier::read(greatest, &Nothing)
            .expect("a frontier")
            .append(head.root(), &mut Vec::new())
            .is_err()
    );
    assert!(Frontier::read(greatest + 1, &Nothing).is_err());
    assert!(!new_tiles(Height::STANDARD, greatest - 1, greatest).is_empty());

    // A client that is shown such a head asks for its tiles and finds them wanting.
    let signed = |head: TreeHead| {
        let mut note = Note::new(head.to_string()).expect("text");
        note.sign(&crate::support::signer("sum.example.com", 1))
            .expect("a signature");
        note.to_string().into_bytes()
    };
    for height in [1, 8, 30] {
        let client = client(height);
        let log = log_of(3);
        run(client.update(), &World::of(&log)).expect("a head");
        let tile_length = |path: &str| {
            let tile = Tile::parse_path(path.trim_start_matches('/')).expect("a tile path");
            tile.byte_length()
        };
        let world = World::new(|path| {
            // Tiles of height 30 have up to 32 GiB; nobody has to serve them.
            let length = tile_length(path);
            if length > 1 << 20 {
                Err(RemoteError::Absent(String::new()))
            } else {
                Ok(vec![0; length])
            }
        });
        let error =
            run(client.observe(signed(head)), &world).expect_err("nothing proves this head");
        assert!(
            matches!(error, Error::InconsistentTile { .. } | Error::Remote { .. }),
            "{error}"
        );
        assert_eq!(client.latest().expect("a head").tree().size(), 3);
    }
}

#[test]
fn serving_agrees_with_the_naive_tree() {
    let log = log_of(70);
    let leaves: Vec<Hash> = (0..70).map(|n| entry(n).record().hash()).collect();
    let tree = NaiveTree(leaves);
    for height in 1..=10 {
        for tile in new_tiles(Height::new(height).expect("a height"), 0, 70) {
            let served = serve(&Resource::HashTile(tile), &log).expect("a tile").body;
            assert_eq!(served, tile.read(&tree).expect("a tile"), "{tile:?}");
        }
    }
}

#[test]
fn the_report_of_a_fork_is_worded_as_the_go_command_does() {
    let fork = Fork {
        older: "a\nb\n".to_owned(),
        newer: "c\n".to_owned(),
        root: Hash::from_bytes([0; 32]),
        proof: vec![Hash::from_bytes([0xff; 32])],
    };
    let zeros = "A".repeat(43);
    let ones = "/".repeat(42);
    let report = format!(
        "SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\ta\n\tb\n\t\n\
         new database:\n\tc\n\t\nproof of misbehavior:\n\t{zeros}=\n\t{ones}8="
    );
    assert_eq!(fork.to_string(), report);
}
