"""The schema of `people.db`: append-only migrations. Applied migrations never change.

Names of households and roles stay as first written; readers convert them to normal form. So an older gated finds the
names that it knows. The part of a migration after `migrations.BACK` undoes it.
"""

from gated.storage import erasure, migrations
from gated.storage.valid_rows import with_copies, without_copies

PEOPLE = f"""
    CREATE TABLE people (
        subject TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        household TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
        enrolled_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE consents (
        subject TEXT NOT NULL REFERENCES people (subject) ON DELETE CASCADE,
        purpose TEXT NOT NULL,
        reference TEXT NOT NULL,
        notice_version TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (subject, purpose)
    ) STRICT;
    {erasure.SCHEMA}
    """

CREDENTIALS = """
    ALTER TABLE people ADD COLUMN role TEXT NOT NULL DEFAULT 'resident' CHECK (length(role) BETWEEN 1 AND 20);
    CREATE TABLE credentials (
        id TEXT PRIMARY KEY,
        subject TEXT REFERENCES people (subject) ON DELETE CASCADE,
        way TEXT NOT NULL CHECK (way = 'card' OR (way = 'pin' AND subject IS NOT NULL)),
        digest BLOB NOT NULL,
        pin_hash TEXT CHECK ((way = 'pin') = (pin_hash IS NOT NULL)),
        label TEXT NOT NULL,
        valid_from TEXT,
        valid_until TEXT,
        uses_left INTEGER CHECK (uses_left >= 0),
        first_used_at TEXT,
        last_used_at TEXT,
        is_duress INTEGER NOT NULL CHECK (is_duress IN (0, 1))
    ) STRICT;
    CREATE INDEX credentials_subject ON credentials (subject);
    CREATE UNIQUE INDEX credentials_card ON credentials (digest) WHERE way = 'card';
    CREATE UNIQUE INDEX credentials_pin ON credentials (subject, is_duress) WHERE way = 'pin';
    CREATE TABLE rights (
        subject TEXT REFERENCES people (subject) ON DELETE CASCADE,
        household TEXT,
        role TEXT,
        door TEXT,
        schedule TEXT,
        valid_from TEXT,
        valid_until TEXT,
        CHECK ((subject IS NOT NULL) + (household IS NOT NULL) + (role IS NOT NULL) = 1)
    ) STRICT;
    CREATE TABLE preferences (
        subject TEXT PRIMARY KEY REFERENCES people (subject) ON DELETE CASCADE,
        release_s REAL CHECK (release_s BETWEEN 5 AND 30),
        search_s REAL CHECK (search_s BETWEEN 1 AND 30),
        first TEXT CHECK (first IN ('speech', 'light', 'touch'))
    ) STRICT;
"""
"""`digest`: for a card, the whole keyed digest of its number; for a PIN, its verifier (see `pin_verifiers`).
`pin_hash`: the argon2 parameters of a PIN. The table stores no number.
"""

RECORDS = """
    ALTER TABLE people ADD COLUMN face TEXT NOT NULL DEFAULT '';
    ALTER TABLE credentials ADD COLUMN uses INTEGER;
    CREATE TABLE replica (
        version INTEGER NOT NULL
    ) STRICT;
    INSERT INTO replica VALUES (0);
    CREATE TABLE records (
        key TEXT PRIMARY KEY,
        n INTEGER NOT NULL,
        is_gone INTEGER NOT NULL CHECK (is_gone IN (0, 1)),
        quarantine TEXT,
        accepted TEXT,
        is_wanted INTEGER NOT NULL CHECK (is_wanted IN (0, 1)),
        suspended_n INTEGER NOT NULL,
        face TEXT,
        stored_face TEXT,
        templates INTEGER NOT NULL,
        at TEXT
    ) STRICT;
    CREATE TABLE claims (
        id TEXT NOT NULL,
        subject TEXT NOT NULL REFERENCES people (subject) ON DELETE CASCADE,
        digest BLOB NOT NULL,
        label TEXT NOT NULL,
        valid_from TEXT,
        valid_until TEXT,
        uses INTEGER,
        PRIMARY KEY (subject, id)
    ) STRICT;
    CREATE TABLE schedules (
        name TEXT PRIMARY KEY,
        days TEXT NOT NULL,
        start TEXT NOT NULL,
        until TEXT NOT NULL
    ) STRICT;
    CREATE TABLE gates (
        gate TEXT PRIMARY KEY,
        keys TEXT NOT NULL
    ) STRICT;
"""
"""`people.face`: the name of the person's valid face in `templates.db`. `credentials.uses`: the number of uses that the
office granted. `claims`: cards for a person that another person still has.
"""

CALENDARS = f"""
    CREATE TABLE calendars (
        name TEXT PRIMARY KEY,
        holidays TEXT NOT NULL,
        workdays TEXT NOT NULL
    ) STRICT;
    {migrations.BACK}
    DROP TABLE calendars
    """
"""`calendars`: holidays and make-up working days that the office sent."""

READINGS = """
    ALTER TABLE credentials ADD COLUMN readings BLOB NOT NULL DEFAULT x'';
    ALTER TABLE claims ADD COLUMN readings BLOB NOT NULL DEFAULT x'';
    -- back
    ALTER TABLE claims DROP COLUMN readings;
    ALTER TABLE credentials DROP COLUMN readings;
"""
"""`readings`: for a card, the first `READING_BYTES` of the keyed digest of each of its readings
(see `card_readings`), joined. Empty for a card from before readings existed.
"""

ALLOWANCE = f"""
    CREATE TABLE allowance (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        recent INTEGER NOT NULL,
        recent_at TEXT NOT NULL,
        batch INTEGER NOT NULL,
        batch_until TEXT NOT NULL,
        spent INTEGER NOT NULL
    ) STRICT;
    INSERT INTO allowance VALUES (1, 0, '', 0, '', 0);
    {migrations.BACK}
    DROP TABLE allowance
"""  # noqa: S608 - a constant
"""Limits on the number of people new to this gate; see `Allowed`."""

VEIL = f"""
    DROP INDEX credentials_pin;
    CREATE TABLE veil (one INTEGER PRIMARY KEY CHECK (one = 1), since TEXT NOT NULL) STRICT;
    INSERT INTO veil VALUES (1, datetime('now'));
    {migrations.BACK}
    DELETE FROM credentials WHERE way = 'pin' AND length(digest) <> 2;
    CREATE UNIQUE INDEX credentials_pin ON credentials (subject, is_duress) WHERE way = 'pin';
    DROP TABLE veil
"""  # noqa: S608 - a constant
"""After this migration, no row shows which of two PINs is the duress PIN (see `pin_verifiers`).

`is_duress` is 0 in every row except old rows. Old rows are converted one day after `since`, when the trial of the new
version is over. An older gated finds the PINs that it stored, but no newer PINs.
"""

ACCEPTANCES = f"""
    ALTER TABLE gates ADD COLUMN vouches TEXT NOT NULL DEFAULT '[]';
    CREATE TABLE trusted_gates (
        gate TEXT PRIMARY KEY,
        keys TEXT NOT NULL,
        by TEXT NOT NULL
    ) STRICT;
    CREATE TABLE gone_gates (
        keys TEXT PRIMARY KEY
    ) STRICT;
    CREATE TABLE agreed (
        subject TEXT NOT NULL REFERENCES people (subject) ON DELETE CASCADE,
        purpose TEXT NOT NULL,
        PRIMARY KEY (subject, purpose)
    ) STRICT;
    INSERT INTO trusted_gates SELECT gate, keys, '*' FROM gates;
    INSERT INTO agreed SELECT subject, purpose FROM consents WHERE purpose != 'recognise';
    {migrations.BACK}
    DROP TABLE agreed;
    DROP TABLE gone_gates;
    DROP TABLE trusted_gates;
    ALTER TABLE gates DROP COLUMN vouches
"""  # noqa: S608 - a constant
"""`gates`: the gates that the office sent. `trusted_gates.by`: an origin of `acceptances`, or the gate that signed.

`gone_gates`: keys of gates that are deleted or have new keys; these keys vouch for no other gate. Acceptances from
before this table stay valid.
"""

WAITING_FACES = f"""
    ALTER TABLE records ADD COLUMN sets TEXT NOT NULL DEFAULT '';
    ALTER TABLE records ADD COLUMN pending TEXT;
    ALTER TABLE records ADD COLUMN pending_face TEXT;
    {migrations.BACK}
    ALTER TABLE records DROP COLUMN pending_face;
    ALTER TABLE records DROP COLUMN pending;
    ALTER TABLE records DROP COLUMN sets
"""
"""A waiting face of a person whose face is known already; see `RecordState`."""

WAITING_CREDENTIALS = f"""
    ALTER TABLE records ADD COLUMN ways TEXT NOT NULL DEFAULT '';
    {migrations.BACK}
    ALTER TABLE records DROP COLUMN ways
"""
"""The credentials of a person at the arrival of a waiting face; see `RecordState`."""

CARD = {
    "subject": "text", "pin_hash": "text", "valid_from": "text", "valid_until": "text", "uses_left": "integer",
    "first_used_at": "text", "last_used_at": "text", "uses": "integer", "digest": "blob", "readings": "blob",
    "is_duress": "integer",
}  # fmt: skip
CLAIM = {"valid_from": "text", "valid_until": "text", "uses": "integer", "digest": "blob", "readings": "blob"}
RULE = dict.fromkeys(("subject", "household", "role", "door", "schedule", "valid_from", "valid_until"), "text")
OWNER = "iif(NEW.subject IS NOT NULL, 'subject', iif(NEW.household IS NOT NULL, 'household', 'role'))"
VALUE = "coalesce(NEW.subject, NEW.household, NEW.role)"
OLD_OWNER, OLD_VALUE = OWNER.replace("NEW.", "OLD."), VALUE.replace("NEW.", "OLD.")

COPIES = f"""
    CREATE TABLE rights_said (
        whose TEXT NOT NULL, value TEXT NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (whose, value)
    ) STRICT;
    INSERT INTO rights_said SELECT 'subject', subject, count(*) FROM rights
        WHERE typeof(subject) = 'text' GROUP BY subject;
    INSERT INTO rights_said SELECT 'household', household, count(*) FROM rights
        WHERE typeof(household) = 'text' GROUP BY household;
    INSERT INTO rights_said SELECT 'role', role, count(*) FROM rights WHERE typeof(role) = 'text' GROUP BY role;
    {with_copies("people", "subject name household status enrolled_at role face")}
    {with_copies("credentials", "id way label", CARD)}
    {with_copies("claims", "id subject label", CLAIM)}
    {with_copies("rights", "", RULE)}
    {with_copies("rights_said", "whose value", {"rows": "integer"})}
    {with_copies("schedules", "name days start until")}
    {with_copies("calendars", "name holidays workdays")}
    CREATE TRIGGER rights_counted AFTER INSERT ON rights BEGIN
        INSERT INTO rights_said (whose, value, rows) VALUES ({OWNER}, {VALUE}, 1)
            ON CONFLICT (whose, value) DO UPDATE SET rows = rows + 1;
    END;
    CREATE TRIGGER rights_taken AFTER DELETE ON rights BEGIN
        UPDATE rights_said SET rows = rows - 1 WHERE whose = {OLD_OWNER} AND value = {OLD_VALUE};
        DELETE FROM rights_said WHERE rows <= 0;
    END;
    {migrations.BACK}
    DROP TRIGGER rights_taken;
    DROP TRIGGER rights_counted;
    {"".join(map(without_copies, ("people", "credentials", "claims", "rights", "schedules", "calendars")))}
    DROP TABLE rights_said
"""  # noqa: S608 - constants
"""`rights_said`: the number of access rules of each owner. The other tables get protected copies of their rows."""

WEAK = f"""
    CREATE TABLE weak_pins (
        subject TEXT PRIMARY KEY REFERENCES people (subject) ON DELETE CASCADE,
        at TEXT NOT NULL
    ) STRICT;
    {migrations.BACK}
    DROP TABLE weak_pins
"""
"""People who typed their weak PIN, until they receive a new PIN. The table does not say which PIN."""

MARKS = f"""
    CREATE TABLE marks (
        subject TEXT PRIMARY KEY REFERENCES people (subject) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        until TEXT
    ) STRICT;
    {with_copies("marks", "subject kind", {"until": "text"})}
    {migrations.BACK}
    DROP TABLE marks
"""
"""People whose face may not open alone (see `face_mark`). `until`: the end of the mark.

An older gated knows no mark, so there the face opens alone, as before.
"""

MIGRATIONS = (
    PEOPLE,
    CREDENTIALS,
    RECORDS,
    CALENDARS,
    READINGS,
    ALLOWANCE,
    VEIL,
    ACCEPTANCES,
    WAITING_FACES,
    WAITING_CREDENTIALS,
    COPIES,
    WEAK,
    MARKS,
)
"""All migrations of `people.db`, oldest first."""
