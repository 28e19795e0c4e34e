"""Checks a short text that a person types: a name, a household, a reference. Enrolment and commands use it. Pure."""

import unicodedata

from gated.errors import EnrolmentError

LONGEST_TEXT = 200
UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that names may not contain: controls, formats (they reverse text), surrogates and line breaks.
Rare hanzi are in none of them.
"""


def plain_text(field: str, value: str) -> str:
    """Return the text without surrounding blanks. Raises `EnrolmentError`, without the content in its message."""
    text = value.strip()
    if not text:
        raise EnrolmentError(f"{field}: is empty; nobody is enrolled without it")
    if len(text) > LONGEST_TEXT:
        raise EnrolmentError(f"{field}: has {len(text)} characters; write at most {LONGEST_TEXT}")
    if any(unicodedata.category(character) in UNPRINTABLE for character in text):
        raise EnrolmentError(f"{field}: has control characters or line breaks in it; write plain text")
    return text
