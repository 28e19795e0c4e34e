"""Tests that the map in the package's docstring is true, and that the code follows the house rules."""

import ast
import re
import textwrap
from functools import cache
from pathlib import Path

import pytest

import gated

PACKAGE = Path(gated.__file__).parent


@cache
def tree_of(path):
    """The parsed source of a module. Most tests here read all modules."""
    return ast.parse(path.read_text("utf-8"))


def handlers(path):
    """Every `except` of a module."""
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ExceptHandler)]


def test_the_map_names_every_chapter_and_nothing_else():
    there = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert set(re.findall(r"^(\w+) {2,}", gated.__doc__, re.MULTILINE)) == {n for n in there if not n.startswith("__")}


def test_every_module_has_a_docstring():
    for module in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(tree_of(module)), module


BORDERS = {
    "face/vision_link.py",
    "runtime/daemon_thread.py",
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
        for node in handlers(module):
            if node.type is not None:
                caught = ast.unparse(node.type)
                assert "MsgspecError" not in caught, module
                assert "msgspec.DecodeError" not in caught, module


def test_nothing_catches_everything_but_at_the_border_of_a_thread_or_task():
    for module in PACKAGE.rglob("*.py"):
        for node in handlers(module):
            assert node.type is not None, module
            caught = getattr(node.type, "id", "")
            assert caught != "Exception" or module.relative_to(PACKAGE).as_posix() in BORDERS, module
            assert caught != "BaseException" or isinstance(node.body[-1], ast.Raise), module


def test_no_process_runs_code_from_the_current_folder():
    """`python -m gated` searches the current folder first, which may be on a USB stick. With `-P` it does not."""
    for module in PACKAGE.rglob("*.py"):
        assert not re.search(r'(?<!"-P", )"-m", "gated"', module.read_text()), module


def named(path):
    """The dotted name of a module, from its path. A package has the name of its folder."""
    return ".".join(("gated", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {named(path): path for path in PACKAGE.rglob("*.py")}
PACKAGES = sorted(name for name, path in MODULES.items() if path.name == "__init__.py" and name != "gated")
STATED = re.compile(r"^Public: ([\w.,\s]+)\.\Z", re.MULTILINE)


def imported(path):
    """Every module of gated that a module imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


@cache
def imports():
    """Every import between two modules of gated, as pairs: the importer, the imported module."""
    return {(name, target) for name, path in MODULES.items() for target in imported(path) if target in MODULES}


def is_inside(module, package):
    return f"{module}.".startswith(f"{package}.")


def public(package):
    """What other packages import from this one. The package itself counts as `__init__`."""
    outside = {target for name, target in imports() if is_inside(target, package) and not is_inside(name, package)}
    return sorted(target.removeprefix(package).removeprefix(".") or "__init__" for target in outside)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_states_exactly_the_modules_that_others_import(package):
    """The last paragraph of its docstring lists them: `Public: a, b.c.`, or `Public: none.`. All others are private.

    import-linter cannot read the docstring. Its contracts would repeat some 220 private modules by name.
    """
    stated = STATED.search(ast.get_docstring(tree_of(MODULES[package])))
    names = re.split(r",\s+", stated[1]) if stated else None
    line = textwrap.fill(f"Public: {', '.join(public(package)) or 'none'}.", 120, break_on_hyphens=False)
    assert names == (public(package) or ["none"]), f"the docstring of {MODULES[package]} must end with:\n\n{line}\n"
