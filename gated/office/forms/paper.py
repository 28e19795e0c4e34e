"""Turns one marked-up text into a form on paper, on a screen and for reading aloud. Pure.

Markup: `# ` title, `## ` heading, `[ ]` a box to tick, `____` a line to write on.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

from gated.office.forms.form_facts import Language
from gated.printable import page

DOCUMENTS = ("notice", "consent")
DRAFT = {"en": "DRAFT: do not hand out; fill in the blanks first", "zh": "草稿：空白处未填，不能发放"}
FOOT = {"en": "Version {version}. Check: {digest}", "zh": "版本 {version}。校验码：{digest}"}
DIGEST_LETTERS = 16
"""Number of hex digits of the digest that the form shows."""
PAGE = """\
<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
@page {{ size: A4; margin: 18mm }}
body {{ font: 18pt/1.5 "Noto Sans CJK SC", "Noto Sans", sans-serif; color: #000; background: #fff;
  max-width: 174mm; margin: 0 auto; padding: 4mm }}
h1 {{ font-size: 26pt; line-height: 1.25 }}
h2 {{ font-size: 21pt; line-height: 1.3; margin: 1.2em 0 .3em; break-after: avoid }}
p {{ margin: .3em 0; break-inside: avoid; overflow-wrap: anywhere }}
.box {{ display: inline-block; width: 1.1em; height: 1.1em; border: 2px solid #000; vertical-align: -.2em;
  margin: 0 .3em 0 0 }}
.choice {{ font-weight: 700; margin-right: 2em; white-space: nowrap }}
.blank {{ display: inline-block; min-width: 6em; border-bottom: 2px solid #000 }}
.draft {{ border: 3px solid #000; padding: .3em; font-weight: 700 }}
footer {{ font-size: 14pt; margin-top: 2em; border-top: 1px solid #000 }}
</style></head><body>
{body}
<footer>{foot}</footer>
</body></html>
"""


def text_of(document: str, language: Language, values: Mapping[str, str], *, is_draft: bool) -> str:
    """Return the form as plain text. Its last line has the version and digest."""
    raw = files("gated.office.forms").joinpath(f"{document}.{language}.txt").read_text("utf-8")
    body = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], raw)
    if is_draft:
        body = f"{DRAFT[language]}\n{body}"
    foot = FOOT[language].format(version=values["version"], digest=digest_of(body)[:DIGEST_LETTERS])
    return f"{body}\n{foot}\n"


def digest_of(text: str) -> str:
    """Return the SHA-256, in hex, of a form's text without its last line.

    Ignores spaces around lines and blank ends, so copying the text does not change the digest.
    """
    return hashlib.sha256("\n".join(line.strip() for line in text.strip().splitlines()).encode()).hexdigest()


def page_of(text: str, language: Language) -> str:
    """Return the form as an HTML page that prints on A4 in large letters, with boxes and lines to write on."""
    *lines, foot = text.strip().splitlines()
    title = next(line[2:] for line in lines if line.startswith("# "))
    body = "\n".join(_element(line, language) for line in lines if line.strip())
    return PAGE.format(language=language, title=page(title), body=body, foot=page(foot))


def sentences_of(text: str) -> Iterator[str]:
    """Yield each line to read aloud. A box to tick is read as the words beside it."""
    for line in text.strip().splitlines()[:-1]:
        spoken = re.sub(r"\s+", " ", re.sub(r"^#+ |\[ \]|_{4,}", " ", line)).strip(" :：")
        if spoken:
            yield spoken


def _element(line: str, language: str) -> str:
    if line == DRAFT[language]:
        return f'<p class="draft">{page(line)}</p>'
    for sign, tag in (("## ", "h2"), ("# ", "h1")):
        if line.startswith(sign):
            return f"<{tag}>{_inline(line[len(sign) :])}</{tag}>"
    return f"<p>{_inline(line)}</p>"


def _inline(line: str) -> str:
    safe = page(line)
    safe = re.sub(r"\[ \] *(.*?)(?= {3,}|$)", r'<span class="choice"><span class="box"></span>\1</span>', safe)
    blanks = re.sub(
        r"_{4,}", lambda match: f'<span class="blank" style="min-width: {len(match[0]) / 2:g}em"></span>', safe
    )
    return blanks.replace("   ", " &emsp; ")
