"""The notice and the consent form: complete or marked as a draft, the same text in print and speech, never changed."""

import html
import json
import re
import subprocess
import sys
import wave
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.cli.office.office import office as group
from gated.config import parse
from gated.cues.aloud import by_voice, read_aloud
from gated.errors import ConfigError, OfficeError, StateError
from gated.journal.journal import KEEP_DAYS
from gated.office.forms.form_facts import BLANK, LANGUAGES, Facts, missing, read_facts, values, with_settings
from gated.office.forms.paper import DOCUMENTS, digest_of, page_of, sentences_of, text_of
from gated.office.store import Store
from gated.protocol.jose import Identity

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import new_office

FACTS = """
site_name = "Courtyard No. 2"
site_name_zh = "市场南街2号院"
controller = "Market South Street Community Office"
controller_zh = "市场南街社区居委会"
address = "Market South Street 8"
contact = "Ms Li <room 3>"
contact_zh = "三号房李老师"
telephone = "0371-6001 2345"
other_ways = ["card", "pin", "call"]
faces_travel = true
seen_by = "two members of the office"
seen_by_zh = "办公室两名工作人员"
face_years = 3
office_days = 90
assessment = "PIA-2026-04, 2026-10-12"
decision = "30 September 2026"
models = "site"
"""
PAPERS = [(document, language) for document in DOCUMENTS for language in LANGUAGES]


@pytest.fixture
def folder(tmp_path):
    new_office(tmp_path / "office")
    with closing(Store.open(tmp_path / "office")) as store:
        store.add_gate("gate-2", Identity.make().party.dump(), "1")
    return tmp_path / "office"


@pytest.fixture
def run(folder, tmp_path):
    def run(*words, facts=None, check=0):
        if facts is not None:
            (folder / "forms.toml").write_text(facts)
        out = ["--out", str(tmp_path / "out")]
        done = CliRunner().invoke(group, ["--dir", str(folder), "forms", *out, *words])
        assert done.exit_code == check, (done.output, done.exception)
        return done

    return run


def facts(tmp_path, text=FACTS):
    (tmp_path / "facts.toml").write_text(text)
    return read_facts(tmp_path / "facts.toml")


def text(tmp_path, document, language, **changed):
    said = values(facts(tmp_path), language, ["gate-2"], KEEP_DAYS, "2026-11") | changed
    return text_of(document, language, said, is_draft=False)


# -- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("document", "language"), PAPERS)
def test_a_complete_form_has_only_the_blanks_for_handwriting(tmp_path, document, language):
    made = text(tmp_path, document, language)
    assert "{" not in made
    lines = [line for line in made.splitlines() if "___" in line]
    assert lines == [] if document == "notice" else all(line.endswith("_") for line in lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_has_every_required_statement(tmp_path, language):
    said = text(tmp_path, "notice", language)
    site, who, contact, seen = {
        "en": ("Courtyard No. 2", "Market South Street Community Office", "Ms Li", "two members"),
        "zh": ("市场南街2号院", "市场南街社区居委会", "三号房李老师", "两名工作人员"),
    }[language]
    for fact in (site, who, contact, seen, "0371-6001 2345", "gate-2", "PIA-2026-04", "30 September 2026", "2026-11"):
        assert fact in said
    for number in ("3", "90", str(KEEP_DAYS), "site"):
        assert number in said
    words = {
        "en": [
            "only purpose",
            "Nobody has to agree",
            "as fast",
            "withdraw at any time",
            "under 14",
            "guardian",
            "card, PIN,",
        ],
        "zh": [
            "只有这一个用途",
            "可以不同意",
            "一样方便",
            "随时撤回",
            "不满十四岁",
            "监护人",
            "刷卡、密码、呼叫按钮",
        ],
    }[language]
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_yes_and_no_look_equal_and_each_purpose_has_its_own(tmp_path, language):
    lines = text(tmp_path, "consent", language).splitlines()
    yes, no = {"en": ("YES", "NO"), "zh": ("同意", "不同意")}[language]
    choices = [line for line in lines if re.fullmatch(rf"\[ \] {yes} +\[ \] {no}", line)]
    assert len(choices) == 2, "to be recognised, and to be sent to other gates"


@pytest.mark.parametrize("is_sent", [True, False])
def test_the_form_states_truly_if_faces_leave_the_gate(tmp_path, is_sent):
    made = facts(tmp_path, FACTS.replace("faces_travel = true", f"faces_travel = {str(is_sent).lower()}"))
    said = values(made, "en", ["gate-2"], KEEP_DAYS, "1")["travel"]
    assert ("never leaves the gate" in said) is not is_sent


def test_sentences_are_short_enough_for_everybody(tmp_path):
    words = [len(each.split()) for each in re.split(r"[.:]\s", text(tmp_path, "notice", "en"))]
    assert sorted(words)[len(words) // 2] <= 14
    assert max(words) <= 36


# -- missing values ---------------------------------------------------------------------------------------------------


def test_a_missing_fact_is_a_named_blank_and_the_paper_is_a_draft(run, tmp_path, folder):
    done = run("--no-voice", "--version", "1", facts=FACTS.replace('telephone = "0371-6001 2345"', ""), check=1)
    assert "Fill in these facts in" in done.stderr
    assert done.stderr.rstrip().endswith(": telephone")
    made = (tmp_path / "out/notice-1.en.txt").read_text()
    assert made.startswith("DRAFT: do not hand out")
    assert f"telephone {BLANK}" in made
    assert "草稿" in (tmp_path / "out/notice-1.zh.html").read_text()
    assert json.loads(run("--list", "--json").stdout) == [], "nobody agrees to a draft"


@pytest.mark.parametrize("name", [n for n in Facts.__struct_fields__ if not n.endswith("_zh")])
def test_every_fact_that_is_missing_is_named(tmp_path, name):
    kept = "\n".join(line for line in FACTS.splitlines() if not line.startswith(f"{name} ="))
    assert missing(facts(tmp_path, kept), ["gate-2"]) == [name]


def test_an_office_without_gates_and_facts_gets_an_example_to_fill_in(tmp_path):
    new_office(tmp_path / "office")
    command = ["--dir", str(tmp_path / "office"), "forms", "--no-voice", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(group, command)
    assert done.exit_code == 1
    assert "forms.toml: fill it in" in done.stderr
    assert "no gate has joined the office yet" in done.stderr
    example = (tmp_path / "office/forms.toml").read_text()
    assert [name for name in Facts.__struct_fields__ if f"# {name} = " not in example] == []
    assert read_facts(tmp_path / "office/forms.toml") == Facts()


def test_all_errors_in_the_facts_are_reported_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        facts(tmp_path, 'telefone = "1"\nface_years = 0\nother_ways = ["face"]\n')
    assert "did you mean 'telephone'?" in str(caught.value)
    assert "face_years: 0 is not valid" in str(caught.value)
    assert "other_ways: " in str(caught.value)


def test_facts_in_a_gates_settings_need_not_be_given_again(tmp_path):
    gate = parse({"site": {"id": "s"}, "gate": {"id": "g"}, "models": {"set": "site"}, "cues": {"phone": "0371-1234"},
                  "door": {"rex_pin": 23, "call_pin": 6, "wiegand_pins": [12, 13]}}, tmp_path)  # fmt: skip
    said = with_settings(Facts(), gate)
    assert (said.models, said.telephone, said.other_ways) == ("site", "0371-1234", ("card", "call"))
    assert with_settings(facts(tmp_path), gate) == facts(tmp_path), "what the office says itself counts"


def test_a_gates_settings_complete_the_paper(run, tmp_path):
    (tmp_path / "gated.toml").write_text('[site]\nid = "s"\n[gate]\nid = "g"\n[cues]\nphone = "0371-1234"\n')
    text = FACTS.replace('telephone = "0371-6001 2345"', "")
    run("--no-voice", "--version", "1", "--settings", str(tmp_path / "gated.toml"), facts=text)
    assert "telephone 0371-1234" in (tmp_path / "out/notice-1.en.txt").read_text()


# -- print ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("document", "language"), PAPERS)
def test_the_page_has_every_word_of_the_text(tmp_path, document, language):
    made = text(tmp_path, document, language)
    page = html.unescape(re.sub(r"<[^>]+>", "", page_of(made, language).split("</style>")[1]))
    squeezed = re.sub(r"\s", "", page)
    for line in made.splitlines():
        for part in re.split(r"\[ \]|_{4,}|^#+", line):
            assert re.sub(r"\s", "", part) in squeezed
    assert "<room" not in page_of(made, language), "what an office writes is text"


def test_the_form_prints_on_a4_in_large_letters(tmp_path):
    page = tmp_path / "notice.html"
    page.write_text(page_of(text(tmp_path, "notice", "zh"), "zh"), "utf-8")
    pdf = tmp_path / "notice.pdf"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run(
        ["chromium", *options, f"--print-to-pdf={pdf}", str(page)], capture_output=True, check=True, timeout=120
    )
    boxes = set(re.findall(rb"/MediaBox *\[0 0 ([0-9.]+) ([0-9.]+)\]", pdf.read_bytes()))
    assert {(round(float(width)), round(float(height))) for width, height in boxes} <= {
        (595, 842),
        (594, 841),
        (596, 842),
    }
    assert "font: 18pt" in page.read_text()


# -- speech -----------------------------------------------------------------------------------------------------------


def test_the_spoken_text_is_the_written_text_without_its_marks(tmp_path):
    said = list(sentences_of(text(tmp_path, "consent", "en")))
    assert said[0] == "Consent: face recognition at the gate of Courtyard No. 2"
    assert "YES NO" in said
    assert not any(sign in each for each in said for sign in ("[", "_", "#"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_is_spoken_in_its_own_language(tmp_path, language):
    sentence = {"en": "Nobody has to agree.", "zh": "可以不同意。"}[language]
    length_s = read_aloud([sentence], language, tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(length_s, abs=0.01)
    assert 1.2 < length_s < 6.0


@pytest.mark.parametrize(
    ("sentence", "language", "parts"),
    [
        ("地址：Market South Street 8", "zh", [("地址：", "zh"), ("Market South Street", "en"), (" 8", "zh")]),
        ("使用的门：gate-2、门3。", "zh", [("使用的门：", "zh"), ("gate-", "en"), ("2、门3。", "zh")]),
        ("Address: 市场南街8号, room 3", "en", [("Address: ", "en"), ("市场南街", "zh"), ("8", "en"), ("号", "zh"),
                                                (", room 3", "en")]),
        ("可以不同意。", "zh", [("可以不同意。", "zh")]),
        ("Nobody has to agree.", "en", [("Nobody has to agree.", "en")]),
        ("", "en", []),
    ],
)  # fmt: skip
def test_words_of_the_other_language_use_its_voice(sentence, language, parts):
    assert by_voice(sentence, language) == parts


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_form_with_an_address_in_the_other_language_is_spoken(tmp_path, language):
    sentence = {"zh": "地址：Market South Street 8", "en": "Address: 市场南街8号"}[language]
    assert read_aloud([sentence], language, tmp_path / "a.wav") > 2.0


def test_mandarin_that_a_voice_reads_as_english_is_refused(tmp_path, monkeypatch):
    from gated.cues import speech

    monkeypatch.setattr(speech, "VOICES", {"zh": ("cmn", "190")})  # espeak-ng 1.51 reads its own pinyin as English
    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    if "1.51" in version:
        with pytest.raises(StateError, match="as another language"):
            read_aloud(["可以不同意。"], "zh", tmp_path / "a.wav")


@pytest.mark.parametrize("text", ["", " \t ", "____", "-", "?", "……"])
def test_placeholder_text_counts_as_missing(text):
    facts = Facts(address=text)
    assert "address" in missing(facts, ["gate-2"])
    assert values(facts, "en", ["gate-2"], KEEP_DAYS, "1")["address"] == BLANK


def test_an_address_of_several_lines_is_one_line_on_paper():
    said = values(Facts(address="Market South Street 8\n## Zhengzhou\n"), "zh", ["gate-2"], KEEP_DAYS, "1")
    assert said["address"] == "Market South Street 8 ## Zhengzhou"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_manual_duty_is_promised_by_a_named_person(tmp_path, language):
    """People, not programs, perform `face_years` and `office_days`. The sentence with the number names the responsible
    body.
    """
    who = {"en": "Market South Street Community Office", "zh": "市场南街社区居委会"}[language]
    said = text(tmp_path, "notice", language, face_years="7", office_days="91")
    for number in ("7", "91"):
        [line] = [line for line in said.splitlines() if re.search(rf"(?<![\da-f]){number}(?![\da-f])", line)]
        assert who in line
    assert {"en": "the gate does not delete it by itself", "zh": "门不会自动删除"}[language] in said


def test_a_complete_notice_names_its_duties_and_existing_commands(run):
    output = run("--no-voice", facts=FACTS).output
    assert "after 3 years: `gated office person list --consent-before DAY`" in output
    assert "after 90 days: `gated office prune --days 90`" in output
    for command in (["prune"], ["person", "list"], ["person", "remove"]):
        assert CliRunner().invoke(group, [*command, "--help"]).exit_code == 0


def test_the_named_commands_delete_events_and_find_old_consents(folder):
    def office(*words):
        done = CliRunner().invoke(group, ["--dir", str(folder), *words])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    office("person", "add", "--name", "Ann", "--household", "2-401", "--consent", "1", "--notice", "2026-11")
    office("person", "add", "--name", "Ben", "--household", "2-402")
    assert json.loads(office("person", "list", "--consent-before", "2020-01-01", "--json")) == []
    [old] = json.loads(office("person", "list", "--consent-before", "2999-01-01", "--json"))
    assert old["name"] == "Ann"
    assert "deleted events: 0" in office("prune", "--days", "90")


# -- versions ---------------------------------------------------------------------------------------------------------


def test_a_complete_version_is_stored_and_printed_again_unchanged(run, tmp_path):
    first = run("--no-voice", "--version", "2026-11", facts=FACTS)
    assert "--notice 2026-11 --consent" in first.stdout
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    run("--no-voice", "--version", "2026-11")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (known,) = json.loads(run("--list", "--json").stdout)
    assert known["version"] == "2026-11"
    assert set(known["sha256"]) == {f"{document}.{language}" for document, language in PAPERS}


def test_a_changed_text_needs_a_new_version(run, tmp_path):
    run("--no-voice", "--version", "2026-11", facts=FACTS)
    before = (tmp_path / "out/notice-2026-11.en.txt").read_text()
    done = run(
        "--no-voice", "--version", "2026-11", facts=FACTS.replace("office_days = 90", "office_days = 900"), check=1
    )
    assert isinstance(done.exception, OfficeError)
    assert "--version 2026-11b" in str(done.exception)
    assert (tmp_path / "out/notice-2026-11.en.txt").read_text() == before
    run("--no-voice", "--version", "2026-11b")
    assert [each["version"] for each in json.loads(run("--list", "--json").stdout)] == ["2026-11", "2026-11b"]


def test_the_digest_on_the_paper_is_that_of_its_text(run, tmp_path):
    run("--no-voice", "--version", "2026-11", facts=FACTS)
    lines = (tmp_path / "out/notice-2026-11.en.txt").read_text().strip().splitlines()
    assert lines[-1] == f"Version 2026-11. Check: {digest_of(chr(10).join(lines[:-1]))[:16]}"
    assert lines[-1] in (tmp_path / "out/notice-2026-11.en.html").read_text()


@pytest.mark.parametrize("version", ["", " ", "../x", "a b", "x" * 40])
def test_an_invalid_version_is_refused(run, version):
    if version:
        assert "cannot be a version" in str(run("--no-voice", "--version", version, facts=FACTS, check=1).exception)


def test_an_unwritable_folder_is_reported_and_nothing_is_stored(run, tmp_path):
    (tmp_path / "out/notice-1.zh.txt").mkdir(parents=True)
    assert "name your own folder" in str(run("--no-voice", "--version", "1", facts=FACTS, check=1).exception)
    assert json.loads(run("--list", "--json").stdout) == []
