"""Finds people whose face was enrolled with another model set. The search never mixes the sets, so their face opens
nothing until they are enrolled again. The commands use it, to name these people to the registrar alone.
"""

from contextlib import closing
from pathlib import Path

from gated.people.store import People, Person
from gated.people.template_store import Templates
from gated.types import SubjectId


def people_of_other_sets(state: Path, embedder_sha256: str) -> list[Person]:
    """Return the people with consent whose valid face has templates, but none by this embedder. By household and name.

    Needs no key, and creates nothing. Raises `StateError`.
    """
    if not (state / "people.db").exists() or not (state / "templates.db").exists():
        return []
    people, templates = People(state), Templates(state)
    with closing(people.connection), closing(templates.connection), people.guard:
        valid = {(subject, agreed.face) for subject, agreed in people.consented().items()}
        others: set[SubjectId] = {subject for subject, _ in valid & templates.faces_of_other_sets(embedder_sha256)}
        return [person for person in people.all() if person.subject in others] if others else []
