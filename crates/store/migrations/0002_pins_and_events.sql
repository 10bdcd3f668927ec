-- Where a file came from: `source` is the URL of an upstream, or of a repository at a commit.
ALTER TABLE file ADD COLUMN source_kind TEXT NOT NULL DEFAULT 'upstream' CHECK (source_kind IN ('upstream', 'repository'));
ALTER TABLE file ADD COLUMN revision TEXT;

-- What each file must hash to, for ever. Also of files that are not stored yet, or not any more; hence no reference
-- to `version`. `hash` is the h1 hash, `state` is how it is believed, `detail` is that in full as JSON, `time` is in
-- microseconds since the Unix epoch.
CREATE TABLE pin (
    module  TEXT    NOT NULL,
    version TEXT    NOT NULL,
    file    TEXT    NOT NULL CHECK (file IN ('mod', 'zip')),
    hash    BLOB    NOT NULL,
    state   TEXT    NOT NULL CHECK (state IN ('unchecked', 'first-sight', 'released', 'proven')),
    time    INTEGER NOT NULL,
    detail  TEXT    NOT NULL,
    PRIMARY KEY (module, version, file)
) WITHOUT ROWID;

CREATE INDEX pin_unchecked ON pin (time) WHERE state = 'unchecked';

-- What happened to a version after it was stored. `detail` is JSON, `time` is in microseconds since the Unix epoch.
-- An event with a `slot` takes the place of the earlier one there: the last good check is kept, not each of them.
CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    module  TEXT    NOT NULL,
    version TEXT    NOT NULL,
    time    INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    slot    TEXT,
    UNIQUE (module, version, slot)
);
