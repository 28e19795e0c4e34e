"""The tables of `office.db`. What names or numbers anybody lies in `sealed`, to the office's own key.

An office whose database is stolen without `office.keys` has told which gates it has, how many people, and what the
journals say, which is about nobody.
"""

MIGRATIONS = (
    """
    CREATE TABLE office (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        site TEXT NOT NULL,
        secret BLOB NOT NULL,
        counter INTEGER NOT NULL,
        floor INTEGER NOT NULL,
        owes_erasure INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE gates (
        gate TEXT PRIMARY KEY,
        keys TEXT NOT NULL,
        serial TEXT NOT NULL,
        since INTEGER NOT NULL,
        beat INTEGER NOT NULL DEFAULT 0,
        heard INTEGER NOT NULL DEFAULT 0,
        number INTEGER NOT NULL DEFAULT 0,
        status BLOB,
        seen_at TEXT
    ) STRICT;
    CREATE TABLE records (
        key TEXT PRIMARY KEY,
        n INTEGER NOT NULL UNIQUE,
        is_gone INTEGER NOT NULL,
        is_shared INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE faces (
        subject TEXT NOT NULL,
        gate TEXT NOT NULL,
        n INTEGER NOT NULL UNIQUE,
        is_stale INTEGER NOT NULL,
        face BLOB NOT NULL,
        PRIMARY KEY (subject, gate)
    ) STRICT;
    CREATE INDEX faces_gate ON faces (gate, n);
    CREATE TABLE enrolled (
        subject TEXT NOT NULL,
        gate TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (subject, gate)
    ) STRICT;
    CREATE TABLE receipts (
        subject TEXT NOT NULL,
        gate TEXT NOT NULL,
        n INTEGER NOT NULL,
        templates INTEGER NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (subject, gate)
    ) STRICT;
    CREATE TABLE journals (
        id INTEGER PRIMARY KEY,
        gate TEXT NOT NULL,
        journal TEXT NOT NULL,
        held INTEGER NOT NULL,
        hash TEXT NOT NULL,
        UNIQUE (gate, journal)
    ) STRICT;
    CREATE TABLE events (
        row INTEGER PRIMARY KEY,
        journal INTEGER NOT NULL REFERENCES journals (id),
        seq INTEGER NOT NULL,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        hash TEXT NOT NULL,
        UNIQUE (journal, seq)
    ) STRICT;
    CREATE TABLE checkpoints (
        journal INTEGER NOT NULL REFERENCES journals (id),
        head INTEGER NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (journal, head)
    ) STRICT;
    CREATE TABLE orders (
        id TEXT PRIMARY KEY,
        gate TEXT NOT NULL,
        command TEXT NOT NULL,
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        state TEXT NOT NULL,
        sealed BLOB NOT NULL,
        challenge TEXT NOT NULL,
        why TEXT NOT NULL,
        findings BLOB NOT NULL
    ) STRICT;
    CREATE INDEX orders_open ON orders (state) WHERE state IN ('new', 'sent');
    CREATE INDEX orders_command ON orders (command);
    CREATE TABLE alarms (
        id INTEGER PRIMARY KEY,
        gate TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        at TEXT NOT NULL,
        over_at TEXT
    ) STRICT;
    CREATE INDEX alarms_open ON alarms (gate, kind) WHERE over_at IS NULL
    """,
)
"""Append-only. A record that is gone keeps its row, with a `Gone` in `sealed`; `events` holds rows that went ahead."""
