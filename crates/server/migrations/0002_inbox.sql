-- What users are told whether or not they are there. Numbers are given out by inbox_heads, so that they go on when all entries
-- are gone.

CREATE TABLE inbox (
    owner TEXT NOT NULL,
    number BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- The message or call that it tells of, once for each owner; marks are told apart by their number.
    subject TEXT NOT NULL,
    -- The item, as JSON.
    item TEXT NOT NULL,
    PRIMARY KEY (owner, number)
);
CREATE UNIQUE INDEX inbox_by_subject ON inbox (owner, subject);
CREATE INDEX inbox_by_time ON inbox (at_ms);

CREATE TABLE inbox_heads (
    owner TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);

-- Up to which entry of a reader's inbox the messages of one contact have come.
CREATE TABLE inbox_marks (
    reader TEXT NOT NULL,
    writer TEXT NOT NULL,
    mark TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (reader, writer, mark)
);
