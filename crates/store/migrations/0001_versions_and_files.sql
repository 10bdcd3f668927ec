-- One row for each module version of which at least one file is stored.
-- `seen` is the time of the first file, in microseconds since the Unix epoch; it strictly grows with `id`,
-- so that a reader of the index can go on from the last time it saw.
CREATE TABLE version (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    module  TEXT    NOT NULL,
    version TEXT    NOT NULL,
    seen    INTEGER NOT NULL,
    UNIQUE (module, version)
);

CREATE INDEX version_by_seen ON version (seen);

-- Where each stored file came from. `sha256` is that of its bytes, `stored` is in microseconds since the Unix epoch.
CREATE TABLE file (
    version_id INTEGER NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL CHECK (kind IN ('info', 'mod', 'zip')),
    size       INTEGER NOT NULL,
    sha256     BLOB    NOT NULL,
    source     TEXT,
    etag       TEXT,
    stored     INTEGER NOT NULL,
    PRIMARY KEY (version_id, kind)
) WITHOUT ROWID;
