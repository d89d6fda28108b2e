-- The same text serves SQLite and PostgreSQL, so there are two types only: BIGINT, for numbers and for times in milliseconds
-- since 1970, and TEXT. docs/server.md says how long each is kept.

CREATE TABLE accounts (
    user_id TEXT NOT NULL PRIMARY KEY,
    handle TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- argon2id with its salt and costs, in PHC's string format.
    password_hash TEXT NOT NULL,
    class TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- A device is a sign-in, and so a family of refresh tokens: only the last one is good, and each has a number.
CREATE TABLE devices (
    device_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    generation BIGINT NOT NULL,
    -- SHA-256 of the refresh token of that generation, in hexadecimal digits.
    token_hash TEXT NOT NULL,
    rotated_ms BIGINT NOT NULL,
    signed_in_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    -- What follows is empty but for guests.
    guest_name TEXT NOT NULL,
    invite_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    role TEXT NOT NULL
);
CREATE INDEX devices_by_user ON devices (user_id);
CREATE INDEX devices_by_invite ON devices (invite_id);
CREATE INDEX devices_by_expiry ON devices (expires_ms);

-- Access tokens that have opened a connection.
CREATE TABLE used_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX used_tokens_by_expiry ON used_tokens (expires_ms);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL,
    -- SHA-256, in hexadecimal digits.
    code_hash TEXT NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE audit (
    entry_id TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    event TEXT NOT NULL,
    device_id TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX audit_by_user ON audit (user_id, at_ms);
CREATE INDEX audit_by_time ON audit (at_ms);

CREATE TABLE rooms (
    room_id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    capacity BIGINT NOT NULL,
    waiting_room BIGINT NOT NULL,
    locked BIGINT NOT NULL,
    used_ms BIGINT NOT NULL
);
CREATE INDEX rooms_by_host ON rooms (host);
CREATE INDEX rooms_by_use ON rooms (used_ms);

CREATE TABLE room_moderators (
    room_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX room_moderators_by_user ON room_moderators (user_id);

CREATE TABLE contacts (
    owner TEXT NOT NULL,
    other TEXT NOT NULL,
    standing TEXT NOT NULL,
    PRIMARY KEY (owner, other)
);
CREATE INDEX contacts_by_other ON contacts (other);

CREATE TABLE invites (
    invite_id TEXT NOT NULL PRIMARY KEY,
    room_id TEXT NOT NULL,
    creator TEXT NOT NULL,
    role TEXT NOT NULL,
    uses_left BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX invites_by_room ON invites (room_id);
CREATE INDEX invites_by_creator ON invites (creator);
CREATE INDEX invites_by_expiry ON invites (expires_ms);
