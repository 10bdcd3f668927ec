//! What a log serves, and what it does not.

use sumdb::Error;
use sumdb::log::{Lifetime, Resource, serve};
use sumdb::tile::{Height, Tile, TileLevel, new_tiles};

use crate::support::{entry, log_of, module, nth_module, read_log, text_of};

#[test]
fn lookups_carry_the_record_and_a_head_that_covers_it() {
    let log = log_of(300);
    let answer = text_of(&log, "/lookup/example.com/!mod42@v1.5.0");
    let latest = text_of(&log, "/latest");
    assert_eq!(answer, format!("299\n{}\n{latest}", entry(299).record()));

    let lookup = Resource::Lookup(module("example.com/none", "v1.0.0"));
    assert!(matches!(serve(&lookup, &log), Err(Error::NotFound(_))));
    // A record that is durable but not published has to wait.
    let mut log = log;
    log.published = log_of(299).published;
    let lookup = Resource::Lookup(nth_module(299));
    assert!(matches!(
        serve(&lookup, &log),
        Err(Error::Unpublished { id: 299 })
    ));
}

#[test]
fn tiles_of_every_width_are_served_up_to_the_published_size() {
    let log = log_of(300);
    let full = read_log(&log, "/tile/8/0/000").expect("a tile");
    assert_eq!(full.len(), 8192);
    for width in [1, 2, 255] {
        let partial = read_log(&log, &format!("/tile/8/0/000.p/{width}")).expect("a tile");
        assert_eq!(partial, full[..width * 32]);
    }
    assert_eq!(
        read_log(&log, "/tile/8/0/001.p/44").expect("a tile").len(),
        44 * 32
    );
    assert_eq!(
        read_log(&log, "/tile/8/1/000.p/1").expect("a tile").len(),
        32
    );
    for (c2sp, go) in [
        ("/tile/0/000", "/tile/8/0/000"),
        ("/tile/1/000.p/1", "/tile/8/1/000.p/1"),
    ] {
        assert_eq!(
            read_log(&log, c2sp).expect("a tile"),
            read_log(&log, go).expect("a tile")
        );
    }
    let absent = [
        "/tile/8/0/001",
        "/tile/8/0/001.p/45",
        "/tile/8/1/000",
        "/tile/8/1/000.p/2",
        "/tile/8/2/000.p/1",
    ];
    let beyond = [
        "/tile/8/63/000",
        "/tile/8/0/x009/x223/x372/x036/x854/x775/807",
        "/tile/8/data/001",
        "/tile/63/000",
    ];
    let too_high = ["/tile/11/0/000.p/1", "/tile/30/data/000.p/200"];
    for path in absent.iter().chain(&beyond).chain(&too_high) {
        let resource = Resource::parse(path).and_then(|resource| serve(&resource, &log));
        assert!(
            matches!(resource, Err(Error::NotFound(_))),
            "{path}: {resource:?}"
        );
    }
    // What is durable but not published is not served.
    let mut log = log;
    log.published = log_of(299).published;
    assert!(read_log(&log, "/tile/8/0/001.p/44").is_err());
    assert!(read_log(&log, "/tile/8/data/001.p/44").is_err());
    assert!(read_log(&log, "/tile/entries/001.p/44").is_err());
}

#[test]
fn records_are_served_as_text_and_as_bundles() {
    let log = log_of(300);
    let records: Vec<String> = (256..300).map(|n| entry(n).record().to_string()).collect();
    let text: String = records.join("\n") + "\n";
    assert_eq!(text_of(&log, "/tile/8/data/001.p/44"), text);

    let bundle: Vec<u8> = records
        .iter()
        .flat_map(|record| {
            let length = u16::try_from(record.len()).expect("short").to_be_bytes();
            [&length[..], record.as_bytes()].concat()
        })
        .collect();
    assert_eq!(
        read_log(&log, "/tile/entries/001.p/44").expect("a bundle"),
        bundle
    );
}

#[test]
fn answers_have_media_types_and_lifetimes() {
    let log = log_of(300);
    let lookup = "/lookup/example.com/!mod0@v1.0.0";
    let text = "text/plain; charset=UTF-8";
    let binary = "application/octet-stream";
    let cases = [
        ("/latest", text, Lifetime::Short),
        ("/checkpoint", text, Lifetime::Short),
        (lookup, text, Lifetime::Long),
        ("/tile/8/0/000", binary, Lifetime::Immutable),
        ("/tile/8/0/001.p/3", binary, Lifetime::Long),
        ("/tile/8/data/000", text, Lifetime::Immutable),
        ("/tile/entries/000", binary, Lifetime::Immutable),
    ];
    for (path, content_type, lifetime) in cases {
        let served = serve(&Resource::parse(path).expect(path), &log).expect(path);
        assert_eq!(
            (served.content_type, served.lifetime),
            (content_type, lifetime),
            "{path}"
        );
    }
}

#[test]
fn malformed_requests_are_told_from_absent_things() {
    let malformed = [
        "/lookup/",
        "/lookup/example.com/a",
        "/lookup/example.com/a@",
        "/lookup/example.com/a@v1",
        "/lookup/example.com/a@v1.2",
        "/lookup/example.com/a@latest",
        "/lookup/example.com/a@v1.0.0+meta",
        "/lookup/example.com/a@v2.0.0",
        "/lookup/example.com/a@v1.0.0/go.mod",
        "/lookup/example.com/a@v1.0.0@v1.0.0",
        "/lookup/example.com/A@v1.0.0",
        "/lookup/example.com/../a@v1.0.0",
        "/lookup/@v1.0.0",
        "/tile/",
        "/tile/8/0/0",
        "/tile/8/0/00",
        "/tile/8/00/000",
        "/tile/08/0/000",
        "/tile/8/0/x000/000",
        "/tile/8/0/001/000",
        "/tile/8/0/x001",
        "/tile/8/0/000.p/0",
        "/tile/8/0/000.p/256",
        "/tile/8/0/000.p/01",
        "/tile/8/0/000.p/",
        "/tile/8/0/000.p/1.p/1",
        "/tile/8/64/000",
        "/tile/0/0/000",
        "/tile/31/0/000",
        "/tile/8/-1/000",
        "/tile/8/0/+01",
        "/tile/8/0/x010/x000/x000/x000/x000/x000/000",
        "/tile/entries/0",
        "/tile/64/000",
        "/tile/data/000",
        "/tile/8/entries/000",
    ];
    for path in malformed {
        let error = Resource::parse(path).expect_err(path);
        assert!(
            matches!(
                error,
                Error::MalformedRequest(_) | Error::MalformedTilePath(_)
            ),
            "{path}: {error}"
        );
    }
    for path in ["", "/", "/latest/", "/supported", "/tiles", "/lookup"] {
        assert!(
            matches!(Resource::parse(path), Err(Error::NotFound(_))),
            "{path}"
        );
    }
    let incompatible =
        Resource::parse("/lookup/example.com/!a@v2.0.0-!r!c1+incompatible").expect("a lookup");
    assert_eq!(
        incompatible,
        Resource::Lookup(module("example.com/A", "v2.0.0-RC1+incompatible"))
    );
}

#[test]
fn tiles_made_while_growing_are_the_tiles_of_the_log() {
    let log = log_of(300);
    let height = Height::new(2).expect("a height");
    let mut stored = std::collections::HashMap::new();
    for (old, new) in [(0, 1), (1, 3), (3, 4), (4, 17), (17, 64), (64, 300)] {
        let log = log_of(new);
        for tile in new_tiles(height, old, new) {
            let resource = Resource::parse(&format!("/{}", tile.path())).expect("a path");
            stored.insert(tile.path(), serve(&resource, &log).expect("a tile").body);
        }
    }
    for (path, data) in &stored {
        assert_eq!(
            read_log(&log, &format!("/{path}")).expect("a tile"),
            *data,
            "{path}"
        );
    }
    let last = Tile::new(height, TileLevel::Hashes(4), 0, 1).expect("a tile");
    assert!(stored.contains_key(&last.path()));
}
