"""`gated evaluate` turns real pictures and the simulated courtyard into figures that CI can check."""

import itertools
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from PIL import Image

from gated.cli import main
from gated.cli.evaluate import _missed
from gated.evaluation.confidence import Rate
from gated.evaluation.measures import Measure
from gated.evaluation.report import Report

PORTRAITS = ("obama_1", "obama_2", "biden_1", "biden_2", "stranger_1", "pad_bona_fide")
SMALL = ["--households", "2", "--people", "4", "--visits", "6", "--attacks", "2"]


def person(name):
    return name.split("_", maxsplit=1)[0]


@pytest.fixture
def gate(whole_gate):
    """Return a gate whose commands run in this process."""
    whole_gate.run = whole_gate.invoke
    return whole_gate


@pytest.fixture
def pairs(shared, tmp_path):
    """Write a CSV file of all pairs of the portraits and return its path."""
    lines = [
        f"{shared / 'faces' / a}.jpg,{shared / 'faces' / b}.jpg,{'same' if person(a) == person(b) else 'different'}"
        for a, b in itertools.combinations(PORTRAITS, 2)
    ]
    path = tmp_path / "pairs.csv"
    path.write_text("first,second,answer\n" + "\n".join(lines))
    return path


@pytest.mark.slow
def test_pairs_of_photographs_are_separated_at_the_sets_own_threshold(gate, pairs):
    (report,) = gate.json("evaluate", "--pairs", pairs, check=0)["reports"]
    rates = {m["name"]: m["rate"] for m in report["measures"]}
    print(f"{1 - rates['not separated']['value']:.2%} of {rates['not separated']['n']} pairs separated")
    assert rates["not separated"]["n"] == 15
    assert 1 - rates["not separated"]["value"] >= 0.99
    assert rates["FTA"]["errors"] == 0
    assert report["threshold"] == 0.42
    assert (report["mated"]["n"], report["non_mated"]["n"]) == (2, 13)
    assert report["mated"]["percentile_1"] > 0.6
    assert report["non_mated"]["percentile_99"] < 0.3


@pytest.mark.slow
def test_pairs_as_a_table_and_a_picture(gate, pairs, tmp_path):
    done = gate.run("evaluate", "--pairs", pairs, "--picture", tmp_path / "det.png", check=0)
    assert "pairs separated: 100.00 % of 15" in done.stdout
    assert "threshold 0.42" in done.stdout
    assert "3/n" in done.stdout
    assert done.stderr == "", "no progress in a pipe"
    assert Image.open(tmp_path / "det.png").size == (1200, 600)


@pytest.fixture
def town(shared, tmp_path):
    """Write a gallery of two enrolled people and probes of both and two strangers. Returns the options."""
    faces = {"gallery": ("obama_1", "biden_1"), "probes": ("obama_2", "biden_2", "stranger_1", "pad_bona_fide")}
    for folder, names in faces.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.jpg").write_bytes((shared / "faces" / f"{name}.jpg").read_bytes())
    return ["--gallery", tmp_path / "gallery", "--probes", tmp_path / "probes"]


@pytest.mark.slow
def test_labelled_folders_make_visits(gate, town):
    limits = ["--max-fpir", "0", "--max-fnir", "0"]
    (report,) = gate.json("evaluate", *town, *limits, check=0)["reports"]
    rates = {(m["name"], m["of"]): (m["rate"]["errors"], m["rate"]["n"]) for m in report["measures"]}
    assert rates["FNIR", "all"] == rates["FPIR", "all"] == (0, 2)
    assert rates["FTE", "all"] == (0, 2)
    assert (report["gallery_size"], report["frames"]) == (2, 3)
    assert 0 < report["proposal"]["threshold"] < 0.42


@pytest.mark.slow
def test_labels_give_rates_by_group_and_the_ratio_of_worst_to_best(gate, town, tmp_path):
    (tmp_path / "groups.csv").write_text("name,group\nobama,first\nbiden,second\nstranger,first;second\n")
    options = [*town, "--groups", tmp_path / "groups.csv"]
    (report,) = gate.json("evaluate", *options, check=0)["reports"]
    rates = {(m["name"], m["of"]): (m["rate"]["errors"], m["rate"]["n"]) for m in report["measures"]}
    assert rates["FNIR", "first"] == rates["FNIR", "second"] == rates["FPIR", "first"] == (0, 1)
    assert rates["FTE", "first"] == (0, 1)
    assert {each["name"] for each in report["differentials"]} == {"FNIR", "FPIR"}
    times = {each["stage"]: each for each in report["times"]}
    assert 0 < times["embed"]["median_ms"] <= times["embed"]["p95_ms"] <= times["all stages"]["p95_ms"]
    text = gate.run("evaluate", *options, check=0).stdout
    assert "FNIR by group" in text
    assert "ms for a picture, median (95th percentile" in text


@pytest.mark.slow
def test_a_limit_that_was_not_measured_is_not_met(gate, town):
    done = gate.json("evaluate", *town, "--max-iapar", "0.5", check=1)
    assert done["limits_missed"] == ["evaluation: IAPAR (all) not measured; the limit is 50 %"]


@pytest.mark.slow
def test_two_model_sets_are_evaluated_on_the_same_courtyard(gate, shared):
    models = shared / "models"
    sets = ["--set", f"evaluation={models}", "--set", f"evaluation={models}"]
    one, other = gate.json("evaluate", *SMALL, *sets, check=0)["reports"]
    assert one == other
    assert one["gallery_size"] == 4
    rates = {(m["name"], m["of"]): m["rate"] for m in one["measures"]}
    assert rates["FTE", "all"] == {
        "errors": 0,
        "n": 4,
        "value": 0.0,
        "low": 0.0,
        "high": pytest.approx(0.5271, abs=1e-3),
    }
    assert rates["FTA", "all"]["errors"] == 0, "the real detector sees rendered faces"
    assert rates["FPIR", "all"]["n"] == rates["FNIR", "all"]["n"] == 3
    assert rates["APCER", "print"]["n"] == rates["APCER", "phone"]["n"] == 1
    assert one["mated_looks"]["mean"] > one["non_mated_looks"]["mean"] + 0.2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--gallery", "."], "belong together"),
        (["--probes", "."], "belong together"),
        (["--gallery", ".", "--probes", ".", "--pairs", "x.csv"], "are two sources: give only one"),
        (["--groups", "x.csv"], "--groups needs --gallery"),
        (["--people", "3", "--households", "72"], "cannot fill"),
        (["--strangers", "2"], "--strangers"),
        (["--target-fpir", "1"], "--target-fpir"),
        (["--max-fpir", "-1"], "--max-fpir"),
        (["--visits", "0"], "--visits"),
    ],
)
def test_conflicting_options_are_a_usage_error(arguments, told):
    done = CliRunner().invoke(main, ["evaluate", *arguments])
    assert done.exit_code == 2
    assert told in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--pairs", "none.csv"], 2, "none.csv"),
        (["--set", "evalution"], 3, "did you mean 'evaluation'"),
        (["--set", "evaluation=nowhere", *SMALL], 3, "models.dir"),
    ],
)
def test_missing_input_gives_one_clear_message(gate, arguments, code, told):
    done = gate.run("evaluate", *arguments, check=code)
    assert told in done.stderr
    assert done.stderr.count("gated: ") == 1
    assert "Traceback" not in done.stderr


def test_no_settings_are_needed_on_a_desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATED_CONFIG", raising=False)
    done = CliRunner().invoke(main, ["evaluate", "--pairs", "none.csv"])
    assert done.exit_code == 2
    assert "none.csv" in done.output
    assert "gated config new" not in done.output


def test_a_named_settings_file_must_exist(tmp_path):
    done = CliRunner().invoke(main, ["--config", str(tmp_path / "no.toml"), "evaluate", "--pairs", "none.csv"])
    assert done.exit_code == 2
    assert "no.toml" in done.output


NO_LIMITS = dict.fromkeys(("max_fpir", "max_fnir", "max_group_fnir", "max_iapar"))


def reported(*measures):
    found = [Measure(name, of, rate) for name, of, rate in measures]
    report = SimpleNamespace(model_set="tiny", measures=found)
    report.rate = lambda name, of: Report.rate(report, name, of)
    return report


MEASURED = reported(
    ("FPIR", "all", Rate.of(3, 1000)),
    ("FNIR", "all", Rate.of(10, 1000)),
    ("FNIR", "children", Rate.of(4, 100)),
    ("FNIR", "closed eyes", Rate.of(2, 100)),
    ("IAPAR", "worst (phone)", Rate.of(3, 100)),
    ("IAPAR", "phone", Rate.of(3, 100)),
    ("IAPAR", "print", Rate.of(0, 100)),
)


@pytest.mark.parametrize(
    ("limits", "missed"),
    [
        ({}, []),
        ({"max_fpir": 0.003, "max_fnir": 0.01}, []),
        ({"max_fpir": 0.0029}, ["FPIR (all)"]),
        ({"max_fnir": 0.009}, ["FNIR (all)"]),
        ({"max_group_fnir": 0.03}, ["FNIR (children)"]),
        ({"max_group_fnir": 0.0}, ["FNIR (children)", "FNIR (closed eyes)"]),
        ({"max_iapar": 0.01}, ["IAPAR (phone)", "IAPAR (worst (phone))"]),
        ({"max_iapar": 0.03}, []),
    ],
)
def test_exactly_the_named_limits_are_checked(limits, missed):
    found = list(_missed(MEASURED, NO_LIMITS | limits))
    assert len(found) == len(missed)
    assert all(text.startswith(f"tiny: {name}") for name, text in zip(missed, found, strict=True))


@pytest.mark.parametrize("limit", list(NO_LIMITS))
def test_nothing_measured_meets_no_limit(limit):
    assert len(list(_missed(reported(), NO_LIMITS | {limit: 1.0}))) == 1


def test_the_help_lists_the_exit_codes():
    done = CliRunner().invoke(main, ["evaluate", "--help"])
    assert "Exit 0; 1 when a limit" in done.output
    assert "accura" not in done.output.lower()
