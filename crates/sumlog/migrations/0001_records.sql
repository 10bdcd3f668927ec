-- The records of the log by their numbers, which are the positions of their leaves, and by module version. Rows are only
-- ever added, one after the last.
CREATE TABLE record (
    id      INTEGER PRIMARY KEY,
    module  TEXT    NOT NULL,
    version TEXT    NOT NULL,
    text    TEXT    NOT NULL,
    UNIQUE (module, version)
) STRICT;

-- What witnesses vouched for: one signature line for each head and key, the newest one. `form` tells which of the two
-- texts of the head it signs, `time` is in seconds since the Unix epoch.
CREATE TABLE cosignature (
    size INTEGER NOT NULL,
    key  TEXT    NOT NULL,
    form TEXT    NOT NULL CHECK (form IN ('go', 'checkpoint')),
    time INTEGER NOT NULL,
    line TEXT    NOT NULL,
    PRIMARY KEY (size, key, form)
) STRICT, WITHOUT ROWID;
