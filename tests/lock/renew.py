"""Writes the lock files and prints newer versions. Run it with `sh tests/renew`, in a venv with uv.

    gated/update/locked/PYTHON.txt   packages that gated runs with; part of its wheel
    gated/update/locked/build.txt    packages that build that wheel
    tests/lock/PYTHON.txt            the same packages, plus those for checks and tests
    tests/lock/picamera2.txt         the parts of picamera2 that the tests need, without Pi-only parts
    tests/lock/uv.txt                the packages that wrote all of these

Each file holds the hashes for every platform and no address. pip's own settings give the source.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

TOP = Path(__file__).parents[2]
RUN, TEST = TOP / "gated/update/locked", TOP / "tests/lock"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
PICAMERA2 = ("picamera2", "piexif", "simplejpeg", "videodev2")
HEADER = "# Written by `sh tests/renew`.\n"
UV = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes",
      "--no-emit-index-url", "--only-binary", ":all:", "--upgrade"]  # fmt: skip


def resolve(sources: Sequence[Path], python: str, *options: str) -> str:
    """Return the lock for a Python version. Raises `SystemExit` if the machines need different versions."""
    found = []
    for machine in MACHINES:
        there = ["--python-version", python, "--python-platform", f"{machine}-manylinux_2_36"]
        done = subprocess.run([*UV, *there, *options, *map(str, sources)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"Python {python} on {machine}: {done.stderr}")
        found.append(HEADER + done.stdout)
    if len(set(found)) != 1:
        raise SystemExit(f"Python {python}: {' and '.join(MACHINES)} need other versions: {changes(*found)}")
    return found[0]


def locks() -> dict[Path, str]:
    """Return every lock file with its new content."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder, pyproject = Path(name), TOP / "pyproject.toml"

        def lines(file: str, words: Sequence[str]) -> Path:
            (folder / file).write_text("\n".join(words))
            return folder / file

        build = lines("build.in", [*project["build-system"]["requires"], "editables"])
        found = {}
        for python in PYTHONS:
            tested = resolve([pyproject, build], python, "--extra", "dev")
            held = ("--constraints", str(lines("held.in", [f"{n}=={v}" for n, v in pins(tested).items()])))
            found[TEST / f"{python}.txt"] = tested
            found[RUN / f"{python}.txt"] = resolve([pyproject], python, *held)
        found[RUN / "build.txt"] = resolve([build], PYTHONS[0], *held)
        found[TEST / "picamera2.txt"] = resolve([lines("p.in", PICAMERA2)], PYTHONS[0], "--no-deps")
        found[TEST / "uv.txt"] = resolve([lines("uv.in", ["uv"])], PYTHONS[0])
        return found


def pins(lock: str) -> dict[str, str]:
    """Return the versions in a lock, by name."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE))


def changes(old: str, new: str) -> list[str]:
    """Return the differences of two locks as "name old -> new"."""
    before, after = pins(old), pins(new)
    return [
        f"{name} {before.get(name, '-')} -> {after.get(name, '-')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def held_back(lock: str) -> Iterator[str]:
    """Yield each package whose newest version pyproject.toml does not allow."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
    names = [re.match(r"[\w.-]+", line)[0] for line in project["dependencies"]]
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(names))
        file.flush()
        newest = pins(resolve([Path(file.name)], PYTHONS[-1], "--no-deps"))
    now = pins(lock)
    for name in (each.lower() for each in names):
        if now[name] != newest[name]:
            yield f"{name} {now[name]}, and {newest[name]} is out: pyproject.toml allows no newer"


def main(words: Sequence[str]) -> None:
    """Print newer versions and write the files. With `--look`, only print."""
    found, is_same = locks(), True
    for path, text in found.items():
        old = path.read_text("utf-8") if path.exists() else ""
        news = changes(old, text) or (["hashes of more files"] if old != text else [])
        is_same = is_same and not news
        print("".join(f"{path.relative_to(TOP)}: {line}\n" for line in news), end="")
        if "--look" not in words:
            path.write_text(text, "utf-8")
    print("".join(f"held back: {line}\n" for line in held_back(found[RUN / f"{PYTHONS[-1]}.txt"])), end="")
    if is_same:
        print("nothing is newer than the lock files")


if __name__ == "__main__":
    main(sys.argv[1:])
