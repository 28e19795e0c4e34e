"""Tests that the Chinese handover page contains no English sentence of the doctor."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

import gated
from gated.cli import main
from gated.config import parse
from gated.doctor import handover_chinese
from gated.doctor.board import Board
from gated.doctor.finding import amber, green, red
from gated.doctor.handover_page import not_fitted, report

PACKAGE = Path(gated.__file__).parent
HAN = re.compile(r"[\u4e00-\u9fff]")
NOW = datetime(2026, 12, 24, 15, 30, tzinfo=UTC)
BOARD = Board("Raspberry Pi 5", "1000abcd", True)
SAYING = {"green": 1, "amber": 1, "red": 1, "faulty": 2}
"""The functions that make a finding, with the index of the first argument that is a sentence."""
CHAPTERS = ["doctor/diagnosis.py", "doctor/checks.py", "doctor/board.py", "doctor/keys.py",
            "doctor/office_connection.py", "doctor/disk.py", "doctor/measurements.py", "doctor/trials.py",
            "doctor/examination.py", "doctor/guess_time.py", "cli/doctor.py", "cli/doctor_trials.py",
            "update/release_key.py", "doctor/attack_rates.py"]  # fmt: skip


def template(node, known):
    """Return the sentences that an expression may give, with `{}` for each value. Empty if it is only a value."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.JoinedStr(values=parts):
            texts = [""]
            for part in parts:
                inner = template(part.value, known) if isinstance(part, ast.FormattedValue) else {part.value}
                texts = [text + each for text in texts for each in inner or {"{}"}]
            return set(texts)
        case ast.IfExp(body=one, orelse=other):
            return template(one, known) | template(other, known)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return {
                one + other for one in template(left, known) or {"{}"} for other in template(right, known) or {"{}"}
            }
        case ast.Name(id=name):
            return known.get(name, set())
    return set()


def sentences():
    """Yield every sentence that a finding may have, with its module."""
    for chapter in CHAPTERS:
        tree = ast.parse((PACKAGE / chapter).read_text("utf-8"))
        for function in [
            tree,
            *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)),
        ]:
            known = {}
            body = tree.body if function is tree else list(ast.walk(function))
            for node in [*tree.body, *body]:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    known.setdefault(node.targets[0].id, set()).update(template(node.value, known))
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") in SAYING:
                    for argument in call.args[SAYING[call.func.id] :][:2]:
                        yield from ((chapter, text) for text in template(argument, known))


FOUND = sorted(set(sentences()))


def test_the_test_finds_the_sentences():
    assert len(FOUND) > 120
    assert ("doctor/diagnosis.py", "controls the doors") in FOUND


def test_every_sentence_of_the_doctor_has_a_chinese_translation():
    spoken = [(chapter, text) for chapter, text in FOUND if re.sub(r"\{\}|[^a-zA-Z]", "", text)]  # not only a value
    missing = [each for each in spoken if not HAN.search(handover_chinese.sentence(each[1].replace("{}", "7")))]
    assert missing == [], "not in gated/doctor/handover_chinese.py"


def test_a_translation_keeps_every_value():
    for english, chinese in handover_chinese.SENTENCES.items():
        wanted = {str(n) for n in range(english.count("{}"))}
        assert set(re.findall(r"\{(\d)\}", chinese)) == wanted, english


def test_values_are_at_the_right_place_in_chinese():
    assert handover_chinese.sentence("3 of set site (site) verified") == "模型组 site（site）的 3 个文件已验证"
    assert (
        handover_chinese.sentence("no credential opens the gate (face, card): no latch runs")
        == "没有可用的进门方式（人脸、门卡）：没有门锁程序"
    )
    assert handover_chinese.sentence("works (2026-12-24)") == "可用（2026-12-24）"
    assert handover_chinese.sentence("what a library says") == "what a library says"


@pytest.mark.parametrize(
    ("part", "says"),
    [("latch", "门锁程序"), ("main.contact", "大门：门磁"), ("second.tamper", "第二道门：防拆"),
     ("main: opening", "大门：开门测试"),
     ("door.rex_pin", "大门：出门按钮"), ("credential: card", "进门方式：门卡"),
     ("reader /dev/input/event3", "读卡器 /dev/input/event3"),
     ("something new", "something new")],
)  # fmt: skip
def test_parts_have_chinese_names(part, says):
    assert handover_chinese.part(part) == says


@pytest.fixture
def settings(tmp_path):
    door = {"rex_pin": 23, "contact_pin": 22}
    return parse({"site": {"id": "market-south"}, "gate": {"id": "gate-2"}, "door": door}, tmp_path)


def page(settings, language):
    findings = [
        green("latch", "serves /run/latch.sock"),
        amber("power", "now 5 V", "x"),
        red("disk", "{}", "free some space"),
    ]
    return report(settings, BOARD, findings, NOW, language=language)


def test_the_page_is_chinese_on_request(settings):
    told = page(settings, "zh")
    assert '<html lang="zh">' in told
    for words in (
        "market-south 的门 gate-2",
        "正常 1，注意 1，故障 1",
        "正在服务：/run/latch.sock",
        "清理空间",
        "签字",
        "未安装",
        "消防输入",
    ):
        assert words in told
    for words in ("What it is", "Signed", "Installer", "free some space", "not fitted", "serves"):
        assert words not in told


def test_the_page_names_parts_that_are_not_fitted(settings):
    missing = list(not_fitted(settings))
    assert "exit button" not in missing
    assert "door contact" not in missing
    assert {"fire input", "call button", "card reader", "loudspeaker", "lamps", "pad that is felt"} <= set(missing)
    assert "fire input" in page(settings, "en")


@pytest.mark.parametrize(("language", "asks"), [("en", "write it here"), ("zh", "请写在这里")])
def test_the_page_has_a_telephone_number_or_a_place_for_one(settings, tmp_path, language, asks):
    assert asks in page(settings, language)
    data = {"site": {"id": "s"}, "gate": {"id": "g"}, "cues": {"phone": "0371-6555 1234"}}
    told = page(parse(data, tmp_path), language)
    assert told.count("0371-6555 1234") >= 2
    assert asks not in told


@pytest.mark.parametrize(
    ("languages", "option", "lang"),
    [(["zh", "en"], [], "zh"), (["en"], [], "en"), (["zh"], ["--language", "en"], "en"),
     (["en"], ["--language", "zh"], "zh")],
)  # fmt: skip
def test_the_page_is_in_the_sites_language_or_in_the_one_that_is_asked_for(gate, languages, option, lang):
    gate.write(models={"dir": "nowhere"}, cues={"languages": languages})
    file = gate.folder / "page.html"
    done = CliRunner().invoke(main, ["--config", str(gate.config), "doctor", "--report", str(file), *option])
    assert "Traceback" not in done.output
    assert f'<html lang="{lang}">' in file.read_text("utf-8")
    if lang == "zh":  # on a desk the page tells every amber or red finding
        told = re.sub(r"<style>.*?</style>", "", file.read_text("utf-8"))
        assert not re.search(r"(→ [a-z ]+ (the|and|or) )", told)
