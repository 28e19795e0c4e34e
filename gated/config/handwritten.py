"""Read text files that people write by hand, TOML above all, whatever editor wrote them.

UTF-8 with or without a byte order mark, UTF-16 and UTF-32 are read, because they can be detected reliably. Other
encodings are not guessed, because they look like damage. The error names the line and how to save the file as UTF-8.
"""

import codecs
import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

from gated.bounded import MOST_TEXT, read_given

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: this mark begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SIGNS = {"“": '"', "”": '"', "„": '"', "\u2018": "'", "\u2019": "'", "【": "[", "】": "]", "\u200b": "", "\ufeff": ""}
"""Characters that word processors and keyboards write in place of TOML's characters. Fullwidth characters are not
listed, because Unicode converts them (NFKC).
"""


class HandwritingError(ValueError):
    """A file that cannot be read as text or TOML. The message names the place, the problem and the next step."""


def read_text(path: Path, advice: str = "name an existing file") -> str:
    """Return the text of a file. `advice`: what to do if the file does not exist. Raises `HandwritingError`."""
    try:
        return text_of(read_given(path, MOST_TEXT))
    except FileNotFoundError as error:
        raise HandwritingError(f"cannot be read ({error.strerror}); {advice}") from error
    except IsADirectoryError as error:
        raise HandwritingError("cannot be read: this is a folder; name a file in it") from error
    except PermissionError as error:
        raise HandwritingError(
            f"cannot be read ({error.strerror}); run this as the file's owner: `sudo -u gated ...` at a gate"
        ) from error
    except OSError as error:
        raise HandwritingError(f"cannot be read ({error.strerror}); {advice}") from error


def text_of(data: bytes) -> str:
    """Decode bytes. Return the text without a byte order mark and with LF line ends. Raises `HandwritingError`."""
    mark, encoding = next(((mark, name) for mark, name in MARKS if data.startswith(mark)), (b"", _unmarked(data)))
    body = data.removeprefix(mark)
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        raise HandwritingError(_named(body, encoding, error)) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise HandwritingError(f"has NUL bytes from line {line} on: the file is damaged; write it again, or restore it")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_toml(path: Path, advice: str = "name an existing file") -> dict[str, Any]:
    """Return the unchecked tables of a TOML file. Raises `HandwritingError`, also for an empty file."""
    text = read_text(path, advice)
    if not text.strip():
        raise HandwritingError(f"is empty; {advice}")
    return toml_of(text)


def toml_of(text: str) -> dict[str, Any]:
    """Return the unchecked tables of a TOML text. Raises `HandwritingError`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HandwritingError(f"is not valid TOML: {error}{_foreign_signs(text, str(error))}") from error


def _unmarked(data: bytes) -> str:
    """Detect UTF-16 and UTF-32 without a mark. TOML begins with ASCII characters, so the NUL bytes among the first
    bytes show the encoding.
    """
    head = data[:4]
    if len(data) % 4 == 0 and len(head) == 4 and head.count(0) == 3:
        return "utf-32-be" if head[3] else "utf-32-le"
    if len(data) % 2 == 0 and len(head) >= 2 and head[:2].count(0) == 1:
        return "utf-16-be" if head[1] else "utf-16-le"
    return "utf-8"


def _named(body: bytes, encoding: str, error: UnicodeDecodeError) -> str:
    """Return the problem of an undecodable file, and the next step."""
    if encoding != "utf-8":
        return f"begins as {encoding.upper()} but is damaged further on; save it as UTF-8"
    line = body[: error.start].count(b"\n") + 1
    try:
        body.decode("gb18030")
    except UnicodeDecodeError:
        return f"is not UTF-8 (line {line}); open it in the editor that wrote it, and save it as UTF-8"
    return (
        f"is not UTF-8 (line {line}), but probably GBK (GB18030); save it as UTF-8: in the editor, "
        "or with `iconv -f GB18030 -t UTF-8 FILE >NEW`"
    )


def _foreign_signs(text: str, problem: str) -> str:
    """Return a hint for characters in the faulty line that only look like TOML's."""
    found = re.search(r"at line (\d+)", problem)
    lines = text.split("\n")
    line = lines[int(found[1]) - 1] if found and int(found[1]) <= len(lines) else ""
    signs = [(sign, _plain(sign)) for sign in dict.fromkeys(line) if _plain(sign) != sign]
    return f"; write {', '.join(f'{_shown(plain)} for {_shown(sign)}' for sign, plain in signs)} there" if signs else ""


def _plain(sign: str) -> str:
    """Return the ASCII character that `sign` looks like. Return any other character unchanged."""
    plain = SIGNS.get(sign, unicodedata.normalize("NFKC", sign))
    return plain if plain.isascii() and not plain.isalnum() else sign


def _shown(sign: str) -> str:
    """Return a printable form of a character."""
    return {"": "nothing", " ": "a blank"}.get(sign) or (sign if sign.isprintable() else f"U+{ord(sign):04X}")
