"""The tables of `office.db`. Every name and number of a person is in `sealed`, sealed to the office's own key.

Without `office.keys`, a stolen database shows only the list of gates, the number of people, and the journals, which
name nobody.
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
    """
    ALTER TABLE office ADD COLUMN timezone TEXT NOT NULL DEFAULT 'Asia/Shanghai'
    """,
    """
    ALTER TABLE orders ADD COLUMN is_confirmed INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE orders ADD COLUMN is_told INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE orders ADD COLUMN says TEXT NOT NULL DEFAULT '';
    ALTER TABLE orders ADD COLUMN go_at REAL NOT NULL DEFAULT 0;
    UPDATE orders SET state = 'unanswered', why = 'it was ordered before an update of this office'
        WHERE state IN ('new', 'sent');
    DROP INDEX orders_open;
    CREATE INDEX orders_open ON orders (state)
        WHERE state IN ('new', 'sent', 'begun', 'asked', 'going', 'stopping');
    CREATE INDEX orders_untold ON orders (is_told) WHERE state = 'cancelled' AND NOT is_told;
    CREATE TABLE held (
        gate TEXT NOT NULL,
        subject TEXT NOT NULL,
        why TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (gate, subject)
    ) STRICT
    """,
    """
    ALTER TABLE gates ADD COLUMN certificate TEXT NOT NULL DEFAULT ''
    """,
    """
    CREATE TABLE issued (
        serial TEXT NOT NULL,
        gate TEXT NOT NULL,
        is_revoked INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (serial, gate)
    ) STRICT;
    INSERT INTO issued (serial, gate) SELECT serial, gate FROM gates WHERE serial != '';
    CREATE TABLE retired (
        gate TEXT NOT NULL,
        key TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (gate, key)
    ) STRICT
    """,
    """
    CREATE TABLE recovery (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        key TEXT NOT NULL
    ) STRICT;
    CREATE TABLE handovers (
        number INTEGER PRIMARY KEY,
        statement TEXT NOT NULL
    ) STRICT
    """,
    """
    ALTER TABLE office ADD COLUMN pin_salt BLOB NOT NULL DEFAULT x'';
    UPDATE office SET pin_salt = randomblob(16);
    ALTER TABLE office ADD COLUMN sends_names INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE office ADD COLUMN is_settled INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE gates ADD COLUMN verifiers BLOB;
    ALTER TABLE gates ADD COLUMN holds INTEGER NOT NULL DEFAULT 0
    """,
    """
    ALTER TABLE enrolled ADD COLUMN given TEXT NOT NULL DEFAULT '[]'
    """,
)
"""Append-only.

`gates.certificate` is the newest certificate issued (PEM), empty if issued before this column. `gates.verifiers` holds
the gate's sealed keys for cards and PINs. `gates.holds` is the highest number up to which the gate reports to have
everything.

A removed record keeps its row, with a `Tombstone` in `sealed`. `events` also holds rows sent ahead.
`office.timezone` is the site's time zone (IANA), in which days begin and end. `recovery.key` is public. `handovers`
holds every hand-over. `enrolled.given` holds the consents given during enrolment. `pin_salt` is the salt of all PINs.
`is_settled`: no record has a readable PIN, and every gate was sent the new records.
"""
