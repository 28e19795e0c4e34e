"""Stores the alarms that the office's staff must look at. The gate protocol, the console and the commands use it.

An alarm for a condition ends when the condition ends. An alarm for an event stays open until a person marks it as
handled.
"""

from dataclasses import dataclass

from gated.errors import OfficeError
from gated.office.database_file import OfficeFile
from gated.storage.valid_rows import sound

WEAK = "weak_pin"
MEANINGS = {
    "silent": "nothing was heard of it for ten minutes: no power or no network there, or a broker that holds back;"
    " whoever is removed meanwhile may still come in there",
    "unmarked": "it is online and has not signed how far its journal is for three minutes",
    "rows_lost": "these rows of its journal never arrived, and it has them no more",
    "row_altered": "this row of its journal is not what was written first, or the one before it is not",
    "journal_cut": "its journal is shorter than it was: rows were taken away, or an old card was put back",
    "journal_new": "it has begun another journal: a new card, or the old journal was thrown away",
    "records_withheld": "what it and this office say does not arrive for ten minutes: its network, or a broker that"
    " holds back; whoever was removed may still come in there",
    "cloned": "it speaks with an earlier time than before: a second one with its keys, old messages, or a wrong clock",
    "rolled_back": "it has records that this office has no more: an old backup; suspend and remove again who was since",
    "leap_refused": "it says that it has records far beyond all there ever were: do not trust this gate",
    "face_refused": "it sent a face that is too long to be passed on",
    "certificate_ends": "its certificate is not renewed by itself: see that it is online, or pair it anew",
    "certificate_refused": "it asked for a certificate with another key than its own: do not trust it, pair it anew",
    "recovery_differs": "it knows another recovery key than this office's: do not trust it, pair it anew at the gate",
    "rekeyed_since": "it follows newer keys than this office has, and stays away: an old backup was brought back; "
    "`gated office rekey --recovery FILE` brings it back, with the newest recovery key",
    "recovery_missing": "it has no recovery key: nobody could replace its keys if a copy of them is stolen; "
    "`gated office recovery FILE` makes one, on a stick",
    "gate_outdated": "it is too old to take cards and PINs that nobody can read; update gated there: until then it "
    "hears only of people who may come in no more",
    "verifiers_changed": "it tells other keys for cards and PINs than before; pair it anew if its card was changed, "
    "else somebody has copied its pairing",
    "asked_for_all": "it asked for records that it holds already: its card was damaged, people were accepted there, "
    "or somebody has copied its pairing; look at the gate",
    "call_missed": "somebody pressed the call button and nobody answered; see whether they still need help",
    "call_pressed": "somebody calls at the gate; `gated office answer GATE` with --opening, --wait or --nobody",
    "presentation_attack": "somebody held up pictures of a face; a face that was imitated rests there for a while, its "
    "owner's other ways in do not",
    "duress": "somebody let themselves in under threat",
    "door_forced_open": "the door was forced",
    "tampered": "the box or its wires were opened",
    "fire_release": "a fire alarm has released the doors",
    "pins_guessed": "somebody tries PINs at its keypad: PINs rest there, cards and faces do not; see who stands there",
    WEAK: "a PIN of this person's is one that strangers try first, and it opens nothing or soon will not: "
    "give them a new one",
    "cards_guessed": "somebody shows unknown cards to a reader of its, one after the other, or somebody's telephone "
    "tells another number each time; known cards open; see who stands there",
    "record_quarantined": "it holds people back that look like poisoning; `gated office held list` names them",
    "gate_held": "nobody there has accepted this gate's keys, and no face goes to it: compare the fingerprints that "
    "`gated gates list` shows at both, then `gated gates accept` there",
    "consent_given": "somebody whose face another gate has as well agreed there that it goes to the other gates; if "
    "the paper says so, note it: `gated office person change PERSON --consent REF --notice VERSION --transfer`",
    "consent_held": "faces taken there go to no other gate, for this office alone says that their owners agreed: "
    "`gated people consents accept` at that gate, with their papers",
    "done_late": "it did what this office had called off: an old backup here, or do not trust this gate",
}
"""Text for each kind of alarm, shown to staff. The last entries are kinds of journal events, under their own names."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `at` and `over_at` are UTC times, ISO 8601; `over_at` is None while the alarm is open."""

    id: int
    gate: str
    kind: str
    detail: str
    at: str
    over_at: str | None


class AlarmStore:
    """The table of alarms. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def open(self, gate: str, kind: str, detail: str, at: str) -> None:
        """Open an alarm, unless an open alarm has the same gate, kind and detail."""
        with self._file.writing() as connection:
            same = "SELECT 1 FROM alarms WHERE gate = ? AND kind = ? AND detail = ? AND over_at IS NULL"
            if connection.execute(same, (gate, kind, detail)).fetchone() is None:
                row = (gate, kind, detail, at)
                connection.execute("INSERT INTO alarms (gate, kind, detail, at) VALUES (?, ?, ?, ?)", row)

    def open_or_update(self, gate: str, kind: str, detail: str, at: str) -> None:
        """Open an alarm of a kind that a gate has at most once. If one is open, replace its detail."""
        with self._file.writing() as connection:
            now = "UPDATE alarms SET detail = ? WHERE gate = ? AND kind = ? AND over_at IS NULL"
            if not connection.execute(now, (detail, gate, kind)).rowcount:
                self.open(gate, kind, detail, at)

    def end(self, gate: str, kind: str, at: str, detail: str | None = None) -> None:
        """End the open alarms of this gate and kind: all of them, or only those with this `detail`."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE gate = ? AND kind = ? AND over_at IS NULL"
            only = ("", ()) if detail is None else (" AND detail = ?", (detail,))
            connection.execute(over + only[0], (at, gate, kind, *only[1]))

    def end_of(self, kind: str, detail: str, at: str) -> None:
        """End the open alarms of this kind and detail at every gate."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE kind = ? AND detail = ? AND over_at IS NULL"
            connection.execute(over, (at, kind, detail))

    def end_all(self, gate: str, at: str) -> None:
        """End every open alarm of a gate."""
        with self._file.writing() as connection:
            connection.execute("UPDATE alarms SET over_at = ? WHERE gate = ? AND over_at IS NULL", (at, gate))

    def details(self, gate: str, kind: str) -> set[str]:
        """Return the details of a gate's open alarms of one kind."""
        with self._file.reading() as connection:
            ask = "SELECT detail FROM alarms WHERE gate = ? AND kind = ? AND over_at IS NULL"
            return {str(detail) for (detail,) in connection.execute(ask, (gate, kind)).fetchall()}

    def mark_handled(self, number: int, at: str) -> None:
        """End one alarm after a person has looked at it. Raises `OfficeError` if no open alarm has this number."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE id = ? AND over_at IS NULL RETURNING id"
            if connection.execute(over, (at, number)).fetchone() is None:
                raise OfficeError(f"no alarm {number} is open; `gated office alarms` lists the open ones")

    def all(self, *, standing: bool = True) -> list[Alarm]:
        """Return the open alarms, or all alarms ever raised if `standing` is false; oldest first.

        Omits damaged rows.
        """
        which = "over_at IS NULL AND" if standing else ""
        with self._file.reading() as connection:
            which += f" {sound(connection, 'alarms')}"
            rows = connection.execute(f"SELECT * FROM alarms WHERE {which} ORDER BY id").fetchall()  # noqa: S608 - ours
        return [Alarm(*row) for row in rows]
