//! What a client refuses, whoever says it.

use sumdb::Error;
use sumdb::client::{Client, RemoteError, run};
use sumdb::log::LogWriter;
use sumdb::note::{CosignerKey, KeyName, Note};
use sumdb::record::Part;
use sumdb::tlog::{Hash, TreeHead};

use crate::support::{
    MemoryLog, World, client, entries, entry, h1, keys, log_of, module, nth_module, read_log,
    signer,
};

/// The cache may hold proven data only: exactly what the honest server would say.
fn assert_cache_is_sound(world: &World<'_>, log: &MemoryLog) {
    for (key, data) in world.cache.borrow().iter() {
        let path = key
            .strip_prefix("sum.example.com")
            .expect("a key of this database");
        assert_eq!(&read_log(log, path).expect("data"), data, "{key}");
    }
}

#[test]
fn a_changed_byte_in_any_tile_is_refused() {
    let log = log_of(300);
    for height in [2, 8] {
        let honest = World::of(&log);
        run(client(height).lookup(nth_module(77)), &honest).expect("a proven record");
        let tiles: Vec<String> = honest
            .take_asked()
            .into_iter()
            .filter(|path| path.starts_with("/tile/"))
            .collect();
        assert!(tiles.len() >= 3, "{tiles:?}");
        for spoiled in &tiles {
            for part in [0, 1, 2] {
                let world = World::new(|path| {
                    let mut data = read_log(&log, path)?;
                    if path == spoiled {
                        let position = (data.len() - 1) * part / 2;
                        data[position] ^= 1;
                    }
                    Ok(data)
                });
                let error = run(client(height).lookup(nth_module(77)), &world).expect_err(spoiled);
                assert!(
                    matches!(error, Error::InconsistentTile { .. }),
                    "{spoiled}: {error}"
                );
                assert!(error.is_misbehaviour());
                assert_cache_is_sound(&world, &log);
                assert!(
                    !world
                        .cache
                        .borrow()
                        .keys()
                        .any(|key| key.contains("/lookup/"))
                );
            }
        }
    }
}

#[test]
fn every_hash_of_a_tile_counts() {
    let log = log_of(300);
    for tile in ["/tile/8/0/000", "/tile/8/0/001.p/44", "/tile/8/1/000.p/1"] {
        let width = read_log(&log, tile).expect("a tile").len() / 32;
        for hash in 0..width {
            let world = World::new(|path| {
                let mut data = read_log(&log, path)?;
                if path == tile {
                    data[hash * 32 + 5] ^= 0x80;
                }
                Ok(data)
            });
            let error = run(client(8).lookup(nth_module(77)), &world).expect_err(tile);
            assert!(
                matches!(error, Error::InconsistentTile { .. }),
                "{tile} hash {hash}: {error}"
            );
        }
    }
}

#[test]
fn a_tile_that_disagrees_with_its_parent_is_refused() {
    // Whole tiles, sound in themselves, at the wrong place; and leaves made to fit a forged record.
    let log = log_of(300);
    let forged = b"example.com/Mod11 v1.0.0 h1:forged\n";
    let world = World::new(|path| {
        let mut data = read_log(&log, path)?;
        if path == "/tile/2/0/019" {
            data[32..64].copy_from_slice(Hash::of_record(forged).as_bytes());
        }
        if path.starts_with("/lookup/") {
            let honest = entry(77).record().to_string();
            let text = String::from_utf8(data).expect("text");
            data = text
                .replace(&honest, &String::from_utf8_lossy(forged))
                .into_bytes();
        }
        Ok(data)
    });
    let error = run(client(2).lookup(nth_module(77)), &world).expect_err("a forged record");
    let Error::InconsistentTile { tile } = &error else {
        panic!("{error}")
    };
    assert_eq!(tile, "tile/2/0/019");
    assert_cache_is_sound(&world, &log);

    let world = World::new(|path| {
        read_log(
            &log,
            if path == "/tile/2/1/004" {
                "/tile/2/1/003"
            } else {
                path
            },
        )
    });
    let error = run(client(2).lookup(nth_module(77)), &world).expect_err("a misplaced tile");
    let Error::InconsistentTile { tile } = &error else {
        panic!("{error}")
    };
    assert_eq!(tile, "tile/2/1/004");
}

#[test]
fn empty_short_and_long_tiles_are_refused() {
    let log = log_of(300);
    for length in [0, 1, 31, 32, 63, 64, 44 * 32 - 1, 44 * 32 + 1, 256 * 32] {
        let world = World::new(|path| {
            let mut data = read_log(&log, path)?;
            if path == "/tile/8/0/001.p/44" {
                data.resize(length, 0);
            }
            Ok(data)
        });
        let error =
            run(client(8).lookup(nth_module(299)), &world).expect_err("a tile of a wrong length");
        let Error::TileLength {
            tile,
            expected,
            actual,
        } = &error
        else {
            panic!("{length}: {error}")
        };
        assert_eq!(
            (tile.as_str(), *expected, *actual),
            ("tile/8/0/001.p/44", 44 * 32, length)
        );
        assert_cache_is_sound(&world, &log);
    }
    // A full tile that stands in for a partial one must be full.
    let world = World::new(|path| match path {
        "/tile/8/0/001.p/44" => Err(RemoteError::Absent(String::new())),
        "/tile/8/0/001" => Ok(vec![0; 44 * 32]),
        path => read_log(&log, path),
    });
    let error =
        run(client(8).lookup(nth_module(299)), &world).expect_err("a tile that is not full");
    assert!(error.is_absent(), "{error}");
}

#[test]
fn an_altered_record_is_refused() {
    let log = log_of(300);
    let world = World::new(|path| {
        let data = read_log(&log, path)?;
        let text = String::from_utf8_lossy(&data).replace(&h1("zip 7"), &h1("zip 8"));
        Ok(if path.starts_with("/lookup/") {
            text.into_bytes()
        } else {
            data
        })
    });
    let error = run(client(8).lookup(nth_module(7)), &world).expect_err("an altered record");
    assert!(matches!(error, Error::RecordMismatch { id: 7 }), "{error}");
    assert!(error.is_misbehaviour());
    assert_cache_is_sound(&world, &log);
}

#[test]
fn the_record_of_another_module_is_no_answer() {
    let log = log_of(300);
    // Another module, another version of the module, a module whose path only begins alike.
    for (asked, answered) in [(7, 14), (7, 8), (1, 77)] {
        let world = World::new(|path| {
            let honest = format!(
                "/lookup/{}@{}",
                nth_module(answered).path().escaped(),
                nth_module(answered).version()
            );
            read_log(
                &log,
                if path.starts_with("/lookup/") {
                    &honest
                } else {
                    path
                },
            )
        });
        let error = run(client(8).lookup(nth_module(asked)), &world)
            .expect_err("an answer about something else");
        assert!(matches!(error, Error::MissingEntry(_)), "{error}");
        assert!(error.is_misbehaviour() && !error.is_absent());
        assert!(
            !world
                .cache
                .borrow()
                .keys()
                .any(|key| key.contains("/lookup/"))
        );
    }
}

#[test]
fn lines_outside_of_the_proven_record_count_for_nothing() {
    let log = log_of(300);
    let wanted = module("example.com/evil", "v1.0.0");
    let line = format!("example.com/evil v1.0.0 {}\n", h1("evil"));
    let honest =
        String::from_utf8(read_log(&log, "/lookup/example.com/!mod1@v1.0.0").expect("an answer"));
    let honest = honest.expect("text");
    let (record, head) = honest.split_once("\n\n").expect("a blank line");
    let (head_text, signatures) = head.split_once("\n\n").expect("a blank line");
    let hostile = [
        // Within the record, behind it, above it, in the signed text, among the signatures.
        format!("{record}\n{line}\n{head}"),
        format!("{record}\n\n{line}{head}"),
        format!("{record}\n\n{line}\n{head}"),
        format!("{line}{record}\n\n{head}"),
        format!("{record}\n\n{head_text}\n{line}\n{signatures}"),
        format!("{record}\n\n{head}{line}"),
        format!("{record}\n\n{head}\n{line}"),
        // The unaltered record of another module.
        honest.clone(),
    ];
    for answer in hostile {
        let world = World::new(|path| {
            if path.starts_with("/lookup/") {
                Ok(answer.clone().into_bytes())
            } else {
                read_log(&log, path)
            }
        });
        let outcome = run(client(8).lookup(wanted.clone()), &world);
        let error = outcome.expect_err(&answer);
        assert!(!error.is_absent(), "{error}");
        assert_cache_is_sound(&world, &log);
    }
}

#[test]
fn answers_without_record_or_head_are_refused() {
    let log = log_of(300);
    let honest = read_log(&log, "/lookup/example.com/!mod1@v1.0.0").expect("an answer");
    let (record, _) = std::str::from_utf8(&honest)
        .expect("text")
        .split_once("\n\n")
        .expect("a blank line");
    let hostile = [
        "",
        "\n",
        "7\n",
        "7\n\n",
        &format!("{record}\n\n"),
        &format!("{record}\n"),
        "<html>\n\n</html>",
    ];
    for answer in hostile {
        let world = World::new(|path| {
            if path.starts_with("/lookup/") {
                Ok(answer.as_bytes().to_vec())
            } else {
                read_log(&log, path)
            }
        });
        let error = run(client(8).lookup(nth_module(7)), &world).expect_err(answer);
        let malformed = matches!(error, Error::MalformedRecord(_) | Error::MalformedNote(_));
        assert!(malformed, "{answer:?}: {error}");
        assert!(world.cache.borrow().is_empty());
    }
}

#[test]
fn a_record_number_outside_of_the_tree_is_refused() {
    let log = log_of(300);
    for id in ["300", "301", "9223372036854775807"] {
        let world = World::new(|path| {
            let data = read_log(&log, path)?;
            let text = String::from_utf8_lossy(&data).replacen("7\n", &format!("{id}\n"), 1);
            Ok(if path.starts_with("/lookup/") {
                text.into_bytes()
            } else {
                data
            })
        });
        let error = run(client(8).lookup(nth_module(7)), &world).expect_err(id);
        assert!(
            matches!(error, Error::OutsideTree { size: 300, .. }),
            "{id}: {error}"
        );
    }
}

#[test]
fn forged_heads_are_refused() {
    let log = log_of(300);
    let mut foreign = MemoryLog::default();
    let other_keys = sumdb::log::LogKeys::new(signer("sum.example.com", 9), signer("other", 9));
    let mut writer = LogWriter::open(other_keys, &mut foreign).expect("an empty log");
    writer
        .append(&entries(0..300), &mut foreign)
        .expect("an append");

    // The same name, but another key.
    let world = World::of(&foreign);
    let error = run(client(8).lookup(nth_module(7)), &world).expect_err("an unknown key");
    assert!(matches!(error, Error::UnverifiedNote), "{error}");
    assert!(world.kept.borrow().is_none());

    // The right key's name and hash on a line, but over another text.
    let world = World::new(|path| {
        let data = read_log(&log, path)?;
        let text = String::from_utf8_lossy(&data).replace("\n300\n", "\n301\n");
        Ok(if path.starts_with("/tile/") {
            data
        } else {
            text.into_bytes()
        })
    });
    let error = run(client(8).lookup(nth_module(7)), &world).expect_err("a forged head");
    assert!(matches!(error, Error::InvalidSignature(_)), "{error}");
    assert!(error.is_misbehaviour());
    assert!(world.kept.borrow().is_none() && world.cache.borrow().is_empty());

    // A checkpoint of the log is signed by it, but is no tree head of a Go database.
    let world = World::new(|_| read_log(&log, "/checkpoint"));
    assert!(run(client(8).update(), &world).is_err());
    // Nor is any other text of the right key.
    let mut note = Note::new("sum.example.com\n300\n").expect("text");
    note.sign(&signer("sum.example.com", 1))
        .expect("a signature");
    let error =
        run(client(8).observe(note.to_string().into_bytes()), &world).expect_err("no tree head");
    assert!(matches!(error, Error::MalformedTreeHead), "{error}");
}

#[test]
fn a_kept_head_that_is_damaged_stops_everything() {
    let log = log_of(300);
    for damage in [&b"garbage"[..], b"\0\0\0\0", b"go.sum database tree\n300\n"] {
        let world = World::of(&log);
        *world.kept.borrow_mut() = Some(damage.to_vec());
        assert!(
            run(client(8).lookup(nth_module(0)), &world).is_err(),
            "{damage:?}"
        );
        assert_eq!(
            world.kept.borrow().as_deref(),
            Some(damage),
            "the evidence was overwritten"
        );
        assert!(
            world.take_asked().is_empty(),
            "asked without knowing what was seen before"
        );
    }
}

#[test]
fn contradictory_hashes_within_a_record_are_refused() {
    let log = contradictory_log();
    let world = World::of(&log);
    let record = run(
        client(8).lookup(module("example.com/two", "v1.0.0")),
        &world,
    )
    .expect("a proven record");
    assert!(matches!(
        record.h1(Part::Zip),
        Err(Error::ContradictoryEntries(_))
    ));
    assert!(matches!(
        record.h1(Part::GoMod),
        Err(Error::MissingEntry(_))
    ));
    assert_eq!(record.lines(Part::Zip).len(), 2);
}

/// A log that a broken writer made: two hashes for the same zip in one record, none for go.mod.
fn contradictory_log() -> MemoryLog {
    use sumdb::log::{LogRecord, LogStore, Staged};
    let mut log = log_of(0);
    let text = format!(
        "example.com/two v1.0.0 {}\nexample.com/two v1.0.0 {}\n",
        h1("a"),
        h1("b")
    );
    let text = sumdb::tlog::RecordText::parse(text.as_bytes()).expect("record text");
    let record = LogRecord {
        module: module("example.com/two", "v1.0.0"),
        text,
    };
    let staged = Staged::new(sumdb::tlog::Frontier::new(), vec![record]);
    log.append_records(0, staged.records()).expect("a write");
    let hashed = staged.records_are_durable().expect("hashes");
    log.write_hashes(0, hashed.hashes()).expect("a write");
    let signed = hashed
        .hashes_are_durable(&keys(), &TreeHead::empty())
        .expect("a head");
    log.publish(signed.heads()).expect("a write");
    log
}

#[test]
fn a_witness_key_cannot_be_the_key_of_a_database() {
    let name = KeyName::parse("sum.example.com").expect("a name");
    let witness = CosignerKey::from_seed(name, &[1; 32]).expect("a seed");
    let error = Client::new(witness.verifier().clone()).expect_err("the wrong type of key");
    assert!(matches!(error, Error::WrongKeyType(_)), "{error}");
}
