"""Stores the issued versions of the forms.

A complete version never changes, so a consent always refers to the same text.
"""

from datetime import date
from pathlib import Path

import msgspec

from gated.atomic_files import atomic_write
from gated.errors import OfficeError
from gated.office.forms.form_facts import LANGUAGES, Facts, Language, missing, values
from gated.office.forms.paper import DOCUMENTS, digest_of, text_of
from gated.wording import UNDECODABLE

INDEX = "forms.json"


class Form(msgspec.Struct, frozen=True):
    """One text: document, language, version and SHA-256 in hex."""

    document: str
    language: Language
    version: str
    sha256: str
    text: str


class Version(msgspec.Struct, frozen=True):
    """A complete version: the digest of each text, by names such as `notice.zh`."""

    version: str
    made_on: str
    sha256: dict[str, str]


def forms(facts: Facts, gates: list[str], gate_days: int, version: str) -> list[Form]:
    """Return every document in every language."""
    made = []
    for document in DOCUMENTS:
        for language in LANGUAGES:
            texts = values(facts, language, gates, gate_days, version)
            text = text_of(document, language, texts, is_draft=bool(missing(facts, gates)))
            body = "\n".join(text.strip().splitlines()[:-1])
            made.append(Form(document, language, version, digest_of(body), text))
    return made


def known_versions(folder: Path) -> list[Version]:
    """Return the complete versions, oldest first. Raises `OfficeError` if the index cannot be read."""
    path = folder / INDEX
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Version])
    except FileNotFoundError:
        return []
    except (OSError, *UNDECODABLE) as error:
        raise OfficeError(f"{path}: cannot be read ({error}); restore it from the newest copy of the folder") from error


def check_version(folder: Path, version: str, made: list[Form]) -> None:
    """Raise `OfficeError` if this version was issued with other texts."""
    for known in known_versions(folder):
        if known.version == version and known.sha256 != _digests(made):
            raise OfficeError(
                f"version {version} of {known.made_on} has another text, and people may have agreed to it; "
                f"choose a new version, such as --version {version}b"
            )


def remember(folder: Path, version: str, made: list[Form], today: date) -> None:
    """Record a complete version. Raises `OSError`."""
    known = known_versions(folder)
    if all(each.version != version for each in known):
        known.append(Version(version, today.isoformat(), _digests(made)))
        atomic_write(folder / INDEX, msgspec.json.format(msgspec.json.encode(known), indent=2) + b"\n")


def _digests(made: list[Form]) -> dict[str, str]:
    return {f"{form.document}.{form.language}": form.sha256 for form in made}
