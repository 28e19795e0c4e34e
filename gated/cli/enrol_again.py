"""Names the people whose face is of another model set, for `gated status`, `gated check` and `gated people list`.

Only these commands name them, to the registrar at this gate. No log and no event does.
"""

from gated.cli.find_person import called
from gated.config import Settings
from gated.errors import BusyError, ModelError, StateError
from gated.gallery.other_sets import people_of_other_sets
from gated.people.store import Person

HOW = "`gated people enrol-again` with photos, or `gated office enrol` at the office"
"""The two commands that do it."""
MOST_NAMED = 10
"""Maximum number of people in one sentence."""


def people_to_enrol_again(settings: Settings) -> list[Person]:
    """Return the people with a face that the model set in the settings cannot search. Empty if that cannot be found
    out.
    """
    from gated.face.manifest import load_set

    try:
        return people_of_other_sets(settings.state, load_set(settings.models).embedder_sha256)
    except (BusyError, ModelError, StateError):
        return []


def enrol_again_text(settings: Settings) -> str | None:
    """Return a sentence that names these people and the next step. None without such people."""
    people = people_to_enrol_again(settings)
    if not people:
        return None
    named = ", ".join(called(person) for person in people[:MOST_NAMED])
    more = f" and {len(people) - MOST_NAMED} more (`gated people list`)" if len(people) > MOST_NAMED else ""
    return (
        f"enrol again, because the face is of another model set than {settings.models.set!r}: {named}{more}; use {HOW}"
    )
