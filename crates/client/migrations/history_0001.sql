-- What this device knows of messages and calls with others. Users, messages and calls have their ids as text; times are in
-- milliseconds since 1970.

-- The number of the last entry of the server's inbox that is in here.
CREATE TABLE inbox (last INTEGER NOT NULL);
INSERT INTO inbox (last) VALUES (0);

CREATE TABLE people (
    user TEXT NOT NULL PRIMARY KEY,
    handle TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The inbox number of the newest message from them, and of the newest that was seen here or at another device.
    received INTEGER NOT NULL DEFAULT 0,
    seen INTEGER NOT NULL DEFAULT 0,
    -- Up to which number the server knows both.
    told_received INTEGER NOT NULL DEFAULT 0,
    told_seen INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    -- In the order in which they were written or came.
    place INTEGER PRIMARY KEY,
    message TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL REFERENCES people (user),
    sent INTEGER NOT NULL,
    text TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- Its inbox number; NULL while the server does not have it.
    number INTEGER,
    -- Of those that were sent: sending, sent, delivered, read, failed.
    state TEXT NOT NULL
) STRICT;
CREATE INDEX messages_by_user ON messages (user, number, place);
CREATE INDEX messages_to_send ON messages (place) WHERE state = 'sending';

CREATE TABLE calls (
    call TEXT NOT NULL PRIMARY KEY,
    user TEXT NOT NULL REFERENCES people (user),
    outgoing INTEGER NOT NULL,
    video INTEGER NOT NULL,
    -- As JSON.
    outcome TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- For how long both were in it; NULL where nobody answered.
    seconds REAL,
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_time ON calls (at_ms);
