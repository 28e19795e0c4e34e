"""The pages match the code: every command, option, setting, path, table and picture in them is checked here."""

import dataclasses
import importlib.util
import io
import re
import shlex
import sys
import tomllib
from pathlib import Path

import click
import pytest
from PIL import Image, ImageChops

import gated
from gated.cli import COMMANDS, main
from gated.config import ModelSettings, ReaderSettings
from gated.face.manifest import load_manifest
from gated.office.alarm_meanings import MEANINGS
from gated.pin.budget import GuessLimits, card_days, duration_text, guess_days, short_card_days
from gated.simulator.morning import morning

TOP = Path(__file__).parents[1]
PICTURES = TOP / "tests/pictures"
FIRST, INSTALLING, OFFICE = "README.md", "systemd/README.md", "gated/office/README.md"
HOW = "gated/README.md"
PAGES = (
    "CHANGELOG.md",
    FIRST,
    INSTALLING,
    HOW,
    OFFICE,
    "gated/office/SCALING.md",
    "gated/protocol/README.md",
    "models/README.md",
    "hw_tests/README.md",
    "tests/rehearsal/README.md",
)
CHINESE = {page: page.replace(".md", ".zh.md") for page in (INSTALLING, OFFICE)}
ALL = (*PAGES, *CHINESE.values())


def text_of(page):
    return (TOP / page).read_text("utf-8")


def blocks(page, language="[a-z]*"):
    """Return the code blocks of a page, each as (language, text)."""
    return re.findall(rf"^```({language})\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)


def without_blocks(page):
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def spans(text):
    """Return the code spans of a text, with line breaks joined."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def tables(page):
    """Return the tables of a page, each as a list of rows of cells, without the header."""
    found = re.findall(r"(?:^\|.*\|$\n?)+", text_of(page), re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split(" | ")]
            for line in table.splitlines()
            if not set(line) <= set("|-: ")
        ][1:]
        for table in found
    ]


def section(page, title):
    """Return the text below a heading, up to the next heading of the same level."""
    level, rest = re.search(rf"^(#+) {re.escape(title)}\n(.*)", text_of(page), re.DOTALL | re.MULTILINE).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", rest, flags=re.MULTILINE)[0]


def table_in(page, title, number=0):
    """Return one table of a section, as rows of cells without the header."""
    found = re.findall(r"(?:^\|.*\|$\n?)+", section(page, title), re.MULTILINE)
    lines = [line for line in found[number].splitlines() if not set(line) <= set("|-: ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines][1:]


# -- commands ----------------------------------------------------------------------------------------------------------


def commands_of(page):
    """Return every command line of gated in a page: from its blocks of shell commands, and from its code spans."""
    lines = [line for _, block in blocks(page, "sh") for line in block.splitlines()]
    for line in (*lines, *spans(without_blocks(page))):
        for part in re.split(r"&& |; |\|", re.sub(r"\s#\s.*|^#.*", "", line)):
            words = shlex.split(part.rstrip(" &>").replace("...", ""), posix=True) if part.count("'") % 2 == 0 else []
            while words and words[0] in ("sudo", "-u", "sh"):
                words = words[2:] if words[0] == "-u" else words[1:]
            if words and words[0] == "tests/try":
                words = ["gated", *words[1:]]
            if len(words) > 1 and re.fullmatch(r"(\S*/bin/)?gated", words[0]):
                yield words[1:]


def checked(words):
    """Walk a command line through click, and return the command. Every word and option must exist."""
    command, at = main, 0
    context = click.Context(main, info_name="gated")
    while at < len(words):
        word = words[at]
        if word.startswith("-"):
            name = word.partition("=")[0]
            option = next((each for each in command.params if name in each.opts + each.secondary_opts), None)
            assert option is not None or name in ("--help", "--version"), f"{name} is no option: {words}"
            has_value = option is not None and not option.is_flag and "=" not in word
            at += 2 if has_value else 1
        elif isinstance(command, click.Group) and (found := command.get_command(context, word)) is not None:
            command, context, at = found, click.Context(found, info_name=word, parent=context), at + 1
        else:
            is_place = word.isupper() or word in (">", "gated.toml")
            assert not isinstance(command, click.Group) or command.invoke_without_command or is_place, f"no {words}"
            at += 1
    return command


@pytest.mark.parametrize("page", ALL)
def test_every_command_in_a_page_exists_with_its_options(page):
    for words in commands_of(page):
        checked(words)


def test_an_unknown_command_or_option_in_a_page_is_found():
    for words in (["people", "sing"], ["check", "--sing"], ["office", "person", "add", "--sing", "x"]):
        with pytest.raises(AssertionError):
            checked(words)


def test_a_command_that_is_not_gated_has_its_script():
    for page in ALL:
        for line in (line for _, block in blocks(page, "sh") for line in block.splitlines()):
            script = re.match(r"sh (tests/\S+)", line)
            assert script is None or (TOP / script[1]).is_file(), line
    lines = [
        *spans(without_blocks(INSTALLING)),
        *(line for _, text in blocks(INSTALLING, "sh") for line in text.splitlines()),
    ]
    installs = [line.partition(" -- ") for line in lines if "sh install" in line]
    written = text_of("systemd/install")
    assert installs
    for ours, _, of_provision in installs:
        for option in re.findall(r"--[a-z-]+", ours):
            assert option in written, option
        checked(["provision", *of_provision.split()])


def test_the_commands_of_how_it_works_are_all_the_commands():
    named = " ".join(cell for row in table_in(HOW, "Commands") for cell in spans(row[0]) if cell.startswith("gated"))
    context = click.Context(main)
    shown = {name for name in COMMANDS if not main.get_command(context, name).hidden}
    assert {word.split()[0] for word in named.split("gated ")[1:]} == shown
    for row in table_in(HOW, "Commands"):
        group = []
        for span in spans(row[0]):
            group = span.split()[1:-1] if span.startswith("gated") else group
            checked(span.split()[1:] if span.startswith("gated") else [*group, span])


def test_the_commands_of_the_office_are_all_its_commands():
    from gated.cli.office.office import office

    named = [each for row in table_in(OFFICE, "Commands") for each in spans(row[0])]
    assert sorted(named) == sorted(office.commands)


# -- what a page names -------------------------------------------------------------------------------------------------


def anchors_of(path):
    """Return the anchors of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ALL)
def test_every_link_and_path_in_a_page_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        there = (TOP / page).parent / path if path else TOP / page
        assert there.exists(), target
        anchors = anchors_of(there) if anchor else {""}
        assert anchor in anchors, target
    for span in spans(without_blocks(page)):
        for path in re.findall(r"(?<![\w/.])(?:gated|tests|systemd|models|hw_tests)/[\w/.-]+\.?[\w]+", span):
            if not path.startswith("gated/1"):  # a topic
                assert (TOP / path).exists(), path


def settings():
    """Return every key of the example settings, as {table: keys}."""
    found, table = {}, ""
    for line in (Path(gated.__file__).parent / "example.toml").read_text().splitlines():
        if match := re.match(r"#? ?\[([\w.]+)\]", line):
            table = match[1].split(".")[0]
        elif match := re.match(r"(?:# )?(\w+) += ", line):
            found.setdefault(table, set()).add(match[1])
    return found


@pytest.mark.parametrize("page", ALL)
def test_every_setting_in_a_page_exists(page):
    known = settings()
    for span in spans(without_blocks(page)):
        if match := re.match(r"\[(\w+)\] (\w+)", span):
            table, key = match.groups()
            assert key in known[table], span


def test_the_answers_of_an_installer_are_settings():
    answers = tomllib.loads(next(text for language, text in blocks(INSTALLING) if language == "toml"))
    from gated.provision.installer_answers import InstallerAnswers

    assert set(answers) <= set(InstallerAnswers.__struct_fields__)
    assert set(answers["settings"]["door"]) <= settings()["door"]


# -- the first page ----------------------------------------------------------------------------------------------------


def test_the_first_page_is_short_and_begins_with_the_chinese_pages():
    text = text_of(FIRST)
    assert len(text.splitlines()) < 150
    begin = text.split("\n\n")[1]
    assert re.search("[一-鿿]", begin)
    assert all(f"]({page})" in begin for page in CHINESE.values())


def test_the_table_of_the_demo_is_its_morning():
    rows = table_in(FIRST, "Try it and check it")
    steps = morning(1)
    assert [row[0] for row in rows] == [step.title for step in steps]
    for (_, expected, happened, as_expected), step in zip(rows, steps, strict=True):
        opened = [f"open for {', '.join(sorted(step.let_in))}"] if step.let_in else []
        assert expected == happened == "; ".join([*opened, *([step.also] if step.also else [])])
        assert as_expected == "yes"


# -- tables ------------------------------------------------------------------------------------------------------------

SOURCES = [*(TOP / "gated").rglob("*.py"), *(path for path in (TOP / "systemd").iterdir() if path.suffix != ".md")]
SOURCE = "\n".join(path.read_text("utf-8") for path in SOURCES)


def joined(source):
    """Return the source with strings joined that continue on the next line."""
    return re.sub(r"\"\s*\n\s*f?\"|'\s*\n\s*f?'", "", source)


def test_the_messages_of_the_troubleshooting_table_are_printed():
    printed = joined(SOURCE)
    for problem, *_ in table_in(INSTALLING, "Troubleshooting"):
        for message in spans(problem):
            shown = " ".join(rf"(?:{re.escape(word)}|\{{[^}}]+\}})" for word in message.split())
            assert re.search(shown, printed), f"nothing prints {message!r}: correct the table"


def test_the_services_are_those_that_are_installed():
    named = {name for row in table_in(INSTALLING, "Services") for name in spans(row[0])}
    others = {
        "install",
        "screen",
        "kiosk-policies.json",
        *(Path(page).name for page in (INSTALLING, CHINESE[INSTALLING])),
    }
    assert named == {path.name for path in (TOP / "systemd").iterdir()} - others


def test_the_lost_parts_are_reported_under_the_names_in_the_table():
    for row in table_in(INSTALLING, "When a part is lost"):
        for name in spans(row[3]):
            first = name.split()[0].split("-")[0].partition(".")[0]
            if name.isupper() or "TIME" in name:
                continue
            assert re.search(rf"[\"'](f\")?{first}\b", SOURCE), name


def test_the_alarms_of_the_office_are_all_alarms():
    assert [spans(row[0])[0] for row in table_in(OFFICE, "Alarms")] == list(MEANINGS)


def test_the_alarms_in_the_changelog_are_alarms():
    entry = re.search(r"- \*\*alarms\*\*: (.*?)\n\n", text_of("CHANGELOG.md"), re.DOTALL)[1]
    assert set(spans(entry)) <= set(MEANINGS)


def test_the_answers_to_a_call_are_the_options_of_the_command():
    named = {spans(row[0])[0] for row in table_in(OFFICE, "Calls")}
    options = {option for each in checked(["office", "answer"]).params for option in each.opts}
    assert len(named) == 3
    assert named <= options


def test_the_files_that_a_gate_stores_are_those_of_the_code():
    for row in table_in(HOW, "What a gate stores"):
        for name in spans(row[0]):
            assert all(f'"{part}' in SOURCE for part in name.strip("/").split("/")), name


def test_a_page_that_the_product_names_exists_with_its_section():
    named = re.findall(
        r"(?<![\w/.])((?:gated|systemd|models|hw_tests)/[\w/]*[A-Z]+\.md)(?:[^\n\"']*\"([^\"\n]+)\")?", SOURCE
    )
    assert named
    for page, title in named:
        assert (TOP / page).is_file(), page
        assert not title or f"## {title}\n" in text_of(page), title


def test_the_budgets_in_the_page_are_those_that_are_computed():
    own = ReaderSettings()
    for cards, short, long in table_in(HOW, "Cards"):
        count = int(cards.replace(",", ""))
        assert short == duration_text(short_card_days(count, 4, own.short_cards_day))
        assert long == duration_text(card_days(count, 32, own.cards_hour, own.cards_day))
    for homes, alone, by_household in table_in(HOW, "PINs"):
        pins = [2] * int(homes.replace(",", ""))
        caps = [GuessLimits(own.attempts_day, own.household_day, by_household=by) for by in (False, True)]
        assert [alone, by_household] == [duration_text(guess_days(pins, 0, 6, each).days) for each in caps]
    assert "0006729715" in section(HOW, "Cards")
    assert (own.attempts, own.attempts_hour, own.attempts_day, own.pin_digits) == (5, 8, 12, 6)  # as the text says
    assert (own.household_hour, own.household_day, own.cards_hour, own.short_cards_day) == (5, 10, 20, 60)


def test_the_example_card_has_the_readings_in_the_page():
    from gated.people.card_readings import given, numbers_in

    number = "0006729715"
    for reading in ("102,45043", "0066AFF3"):
        assert numbers_in(reading) & given(number), reading
    assert all(each in section(HOW, "Cards") for each in (number, "102,45043", "00:66:AF:F3"))


def test_the_map_is_that_of_the_package():
    rows = [(spans(row[0])[0], row[1]) for row in table_in(HOW, "Map")]
    assert rows == re.findall(r"^(\w+) {2,}(.+)$", gated.__doc__, re.MULTILINE)


def test_the_libraries_are_those_that_are_installed():
    project = tomllib.loads(text_of("pyproject.toml"))
    wanted = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]]
    for extra in ("heic", "pi", "prove", "video"):
        wanted += project["project"]["optional-dependencies"][extra]
    wanted += project["build-system"]["requires"]
    names = {re.match(r"[\w-]+", each)[0].lower() for each in wanted} - {"gated"}
    named = {re.match(r"[\w-]+", name)[0].lower() for row in table_in(HOW, "Libraries") for name in row[0].split(", ")}
    assert named - {"picamera2", "uv"} == names


def test_the_glossary_has_one_meaning_for_each_term():
    rows = table_in(HOW, "Glossary")
    terms = [term for row in rows for term in row[0].split(", ")]
    assert len(terms) == len(set(terms))
    assert all(len(row) == 3 and row[1] for row in rows)
    forbidden = [word for row in rows for word in spans(row[2])]
    assert len(forbidden) == len(set(forbidden))
    assert not set(forbidden) & set(terms)


def test_the_model_sets_in_the_page_are_in_the_manifest():
    manifest = load_manifest(ModelSettings())
    rows = next(table for table in tables("models/README.md") if len(table[0]) == 5)
    assert {spans(row[0])[0] for row in rows} == set(manifest.sets)


def test_the_variables_of_the_hardware_tests_are_those_they_read():
    sys.path[:0] = [str(TOP / "hw_tests")]
    import wiring

    named = {name for table in tables("hw_tests/README.md") for row in table for name in spans(row[0])}
    assert named == {wiring.variable(each.name) for each in dataclasses.fields(wiring.Wiring)}


# -- both languages ----------------------------------------------------------------------------------------------------


def without_comments(block):
    return [re.sub(r"\s*(^|\s)#\s.*", "", line) for line in block[1].splitlines()]


@pytest.mark.parametrize("page", CHINESE)
def test_the_chinese_page_has_the_same_blocks_headings_tables_and_code(page):
    other = CHINESE[page]
    assert [without_comments(block) for block in blocks(page)] == [without_comments(block) for block in blocks(other)]
    levels = [re.findall(r"^#+(?= )", without_blocks(each), re.MULTILINE) for each in (page, other)]
    assert levels[0] == levels[1]
    for one, translated in zip(tables(page), tables(other), strict=True):
        assert [len(row) for row in one] == [len(row) for row in translated]
        for row, other_row in zip(one, translated, strict=True):
            for cell, other_cell in zip(row, other_row, strict=True):
                assert sorted(spans(cell)) == sorted(spans(other_cell)), cell
    assert sorted(set(spans(without_blocks(page)))) == sorted(set(spans(without_blocks(other))))


@pytest.mark.parametrize("page", CHINESE.values())
def test_the_chinese_page_is_chinese(page):
    prose = re.sub(r"`[^`]+`|\]\([^)]*\)", "", without_blocks(page))
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|\d#])", prose):
        if len(paragraph) > 60 and not set(paragraph) <= set("|-: \n"):
            assert len(re.findall("[一-鿿]", paragraph)) > 10, paragraph


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_the_picture_of_the_gate_screen_is_made_again(tmp_path):
    spec = importlib.util.spec_from_file_location("make_pictures", PICTURES / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    made, kept = Image.open(io.BytesIO(await make.screen(tmp_path / "browser"))), Image.open(PICTURES / "screen.png")
    assert (made.size, made.format) == (kept.size, kept.format)
    difference = ImageChops.difference(made.convert("L"), kept.convert("L"))
    assert sum(difference.histogram()[64:]) < 0.05 * made.width * made.height


def test_the_pictures_of_the_first_page_are_small():
    for name in re.findall(r"\]\((tests/pictures/[^)]+)\)", text_of(FIRST)):
        assert (TOP / name).stat().st_size < 100_000
