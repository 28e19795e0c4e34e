"""Seals the templates of one face with a key of their own, and opens them for the search."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gated.errors import SealError
from gated.gallery.search import Row
from gated.people.store import SearchablePerson
from gated.people.template_store import Sealed, SealedFace
from gated.storage.vault import Vault, seal, unseal
from gated.types import SubjectId


def new_face() -> str:
    """Return a new name for a face: 16 random hex digits."""
    return secrets.token_hex(8)


def seal_face(
    vault: Vault, subject: SubjectId, face: str, consent: str, vectors: Sequence[tuple[str, NDArray[np.float32]]]
) -> SealedFace:
    """Seal vectors with a new key as one face of a person. Each vector follows the SHA-256 of its embedder.

    `consent`: reference of the person's consent. The templates open only with the same reference.
    """
    data_key, wrapped = vault.new_data_key(subject)
    templates = []
    for embedder, vector in vectors:
        template = secrets.token_hex(8)
        label = vault.template_label(subject, template, embedder, consent)
        templates.append((template, embedder, seal(data_key, vector.astype("<f4").tobytes(), label)))
    return SealedFace(subject, face, wrapped, templates)


@dataclass(frozen=True, slots=True)
class TemplateOpener:
    """The opener for the templates of one embedder."""

    vault: Vault
    embedder_sha256: str
    consented: dict[SubjectId, SearchablePerson]
    keys: dict[tuple[SubjectId, str], bytes]
    _opened: dict[tuple[SubjectId, str], bytes] = field(default_factory=dict, repr=False)

    def row(self, template: Sealed) -> Row | None:
        """Return the template with its person's data for the search; None if it does not open."""
        person = self.consented[template.subject]
        try:
            data_key = self._key(template.subject, template.face)
            label = self.vault.template_label(template.subject, template.id, self.embedder_sha256, person.consent)
            vector: NDArray[np.float32] = np.frombuffer(unseal(data_key, template.sealed, label), "<f4")
        except (SealError, KeyError, ValueError):
            return None
        return Row(template.subject, person.household, person.status, vector)

    def _key(self, subject: SubjectId, face: str) -> bytes:
        """Return the data key of a face, shared by all its templates. Raises `SealError` and `KeyError`."""
        if (key := self._opened.get((subject, face))) is None:
            key = self._opened[subject, face] = self.vault.data_key(subject, self.keys[subject, face])
        return key
