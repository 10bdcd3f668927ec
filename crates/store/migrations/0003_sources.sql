-- A file can also come from a bundle (`source` is the digest of its manifest) or be published here (`source` is empty);
-- which kinds there are is for the program to say. A check cannot be altered, so the column is replaced.
ALTER TABLE file RENAME COLUMN source_kind TO checked_kind;
ALTER TABLE file ADD COLUMN source_kind TEXT NOT NULL DEFAULT 'upstream';
UPDATE file SET source_kind = checked_kind WHERE checked_kind <> 'upstream';
ALTER TABLE file DROP COLUMN checked_kind;
