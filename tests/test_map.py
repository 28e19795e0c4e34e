"""Tests that the map in the package's docstring is true, and that the code follows the house rules."""

import ast
import re
from pathlib import Path

import gated

PACKAGE = Path(gated.__file__).parent


def test_the_map_names_every_chapter_and_nothing_else():
    there = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert set(re.findall(r"^(\w+) {2,}", gated.__doc__, re.MULTILINE)) == {n for n in there if not n.startswith("__")}


def test_every_module_has_a_docstring():
    for module in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(module.read_text())), module


BORDERS = {
    "face/vision_link.py",
    "runtime/tasks.py",
    "journal/writer.py",
    "camera/picamera.py",
    "door/gpio_chip.py",
    "commands.py",
    "sync/office_link.py",
    "protocol/mqtt.py",
}


def test_every_decoder_of_foreign_bytes_handles_deep_nesting():
    """Deep nesting raises `RecursionError`, which is not the decoder's own error. One name covers all of these
    errors.
    """
    for module in PACKAGE.rglob("*.py"):
        if module.name == "wording.py":
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                caught = ast.unparse(node.type)
                assert "MsgspecError" not in caught, module
                assert "msgspec.DecodeError" not in caught, module


def test_nothing_catches_everything_but_at_the_border_of_a_thread_or_task():
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, module
                caught = getattr(node.type, "id", "")
                assert caught != "Exception" or module.relative_to(PACKAGE).as_posix() in BORDERS, module
                assert caught != "BaseException" or isinstance(node.body[-1], ast.Raise), module


def test_no_process_runs_code_from_the_current_folder():
    """`python -m gated` searches the current folder first, which may be on a USB stick. With `-P` it does not."""
    for module in PACKAGE.rglob("*.py"):
        assert not re.search(r'(?<!"-P", )"-m", "gated"', module.read_text()), module
