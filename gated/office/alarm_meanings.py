"""Explains each kind of alarm to the office's staff."""

WEAK = "weak_pin"
"""Kind of alarm: a person has a PIN that is easy to guess."""

MEANINGS = {
    "silent": (
        "no report from the gate for ten minutes: no power, no network, or the broker withholds messages; people "
        "removed since then may still enter there"
    ),
    "unmarked": "the gate is online but has not signed the head of its journal for three minutes; check the gate",
    "rows_lost": "these rows of the gate's journal never arrived, and the gate does not have them any more",
    "row_altered": "somebody changed this row of the gate's journal, or the row before it",
    "journal_cut": "the gate's journal is shorter than before: rows were removed, or an old memory card was put back",
    "journal_new": "the gate has begun a new journal: it has a new memory card, or the old journal was deleted",
    "records_withheld": (
        "messages between the gate and this office have not arrived for ten minutes: check network and broker; "
        "removed people may still enter there"
    ),
    "cloned": (
        "the gate reports an earlier time than before: another device has its keys, somebody replays old "
        "messages, or its clock is wrong"
    ),
    "rolled_back": (
        "the gate has newer records than this office: an old backup was restored here; repeat all suspensions "
        "and removals since that backup"
    ),
    "leap_refused": "the gate reports records with numbers far too high: do not trust this gate",
    "face_refused": "the gate sent a face that is too long for another gate",
    "certificate_ends": "the certificate was not renewed in time: check that the gate is online, or pair it again",
    "certificate_refused": (
        "the gate requested a certificate for a foreign key: do not trust this gate; pair it again"
    ),
    "recovery_differs": (
        "the gate has another recovery key than this office: do not trust it, pair it again at the gate"
    ),
    "rekeyed_since": (
        "the gate has newer keys of the office than this office and does not connect: an old backup was restored "
        "here; run `gated office rekey --recovery FILE` with the newest recovery key"
    ),
    "recovery_missing": (
        "this office has no recovery key, so nobody can replace its keys if a copy of them is stolen; `gated "
        "office recovery FILE` makes one, on a USB stick"
    ),
    "gate_outdated": (
        "the gate is too old for protected cards and PINs; update gated there: until then it gets removals and "
        "suspensions only"
    ),
    "mark_ignored": (
        "the gate is too old for the marks of people: a marked face (child, alike) still opens alone there; update "
        "gated there"
    ),
    "verifiers_changed": (
        "the gate sent new keys for cards and PINs; if its memory card was replaced, pair it again; otherwise "
        "somebody has copied its keys"
    ),
    "asked_for_all": (
        "the gate requested records that it already has: its memory card was damaged, people were accepted "
        "there, or somebody has copied its keys; check the gate"
    ),
    "call_missed": "somebody pressed the call button and nobody answered; check whether they still need help",
    "call_pressed": (
        "somebody calls at the gate; answer by `gated office answer GATE` with --opening, --wait or --nobody"
    ),
    "presentation_attack": (
        "somebody held up pictures of a face; for a while this face does not open this gate, but the person's card and "
        "PIN do"
    ),
    "duress": "somebody entered under threat, with a duress PIN",
    "door_forced_open": "somebody forced the door open",
    "tampered": "somebody opened the gate's box or cut its wires",
    "fire_release": "a fire alarm has released the doors",
    "pins_guessed": (
        "somebody tries PINs at the keypad: PINs are paused there, cards and faces still open; check who stands there"
    ),
    WEAK: "this person has a PIN that strangers try first. It opens nothing, or soon will not: give them a new one",
    "cards_guessed": (
        "somebody shows many unknown cards to a reader, or a telephone with changing numbers; known cards still open; "
        "check who stands there"
    ),
    "record_quarantined": "the gate holds people back that look like an attack; `gated office held list` names them",
    "gate_held": (
        "no face goes to the other gate, because nobody here has accepted its keys: compare the fingerprints of "
        "`gated gates list` at both gates, then run `gated gates accept`"
    ),
    "consent_given": (
        "this person agreed at the gate that the face goes to the other gates; another gate has a face of this "
        "person, too; compare the paper, then run `gated office person change PERSON --consent REF --notice "
        "VERSION --transfer`"
    ),
    "consent_held": (
        "faces from this gate go to no other gate, because only this office reports the consent: check the "
        "papers and run `gated people consents accept` at that gate"
    ),
    "done_late": (
        "the gate carried out a cancelled command: an old backup was restored here, or you cannot trust the gate"
    ),
}
"""What each kind of alarm means and what to do, for the office's staff.

The last kinds are events of the journal, under their own names.
"""
