"""`gated evaluate`: measures error rates in standard biometric terms, on simulated visits or on given pictures."""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gated.access.face_calibration import rules_for
from gated.access.pad_evidence import TRUNCATED_AFTER
from gated.cli import Context, show_json, streams
from gated.cli.consoles import Console
from gated.cli.table_output import show
from gated.config import Settings
from gated.evaluation import folders, groups, pairs
from gated.evaluation.courtyard import MOST_PEOPLE, MOST_SEEDS, Courtyard
from gated.evaluation.enrolled import enrol_all
from gated.evaluation.field import Begin, evaluate_courtyard
from gated.evaluation.live import Kind
from gated.evaluation.measures import ABOUT, EVERYBODY
from gated.evaluation.plots import draw
from gated.evaluation.report import Report, report_pairs, report_visits
from gated.evaluation.stage_times import TimedPipeline
from gated.evaluation.visit_runs import Judge
from gated.face.manifest import load_manifest
from gated.face.pipeline import load_pipeline
from gated.storage.named_files import reading, write_named

Share = click.FloatRange(0, 1)

GROUPED = ("FNMR", "FMR", "FNIR", "FPIR", "BPCER", "FTE", "FTA")
"""The rates that are also reported for each group."""


@click.command()
@click.option(
    "--pairs",
    "pairs_file",
    type=click.Path(path_type=Path),
    help="CSV file: two paths, same or different, optionally groups.",
)
@click.option("--gallery", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Pictures to enrol.")
@click.option("--probes", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Pictures of visitors.")
@click.option(
    "--groups", "groups_file", type=click.Path(path_type=Path), help="With --gallery: CSV file, NAME,group;group."
)
@click.option("--live", is_flag=True, help="Guide an installer through faces, prints and phones at the stopped gate.")
@click.option("--bona-fide", type=click.IntRange(0, 1000), default=10, show_default=True, help="With --live: faces.")
@click.option("--prints", type=click.IntRange(0, 1000), default=10, show_default=True, help="With --live: prints.")
@click.option("--phones", type=click.IntRange(0, 1000), default=10, show_default=True, help="With --live: phones.")
@click.option("--households", type=click.IntRange(1, 5000), default=72, show_default=True)
@click.option("--people", type=click.IntRange(2, 10_000), default=216, show_default=True)
@click.option(
    "--visits", type=click.IntRange(1, MOST_PEOPLE), default=2000, show_default=True, help="Visits with real faces."
)
@click.option("--strangers", type=Share, default=0.5, show_default=True, help="Share of visits by strangers.")
@click.option(
    "--attacks", type=click.IntRange(0), default=600, show_default=True, help="Attacks with prints and phones."
)
@click.option("--seed", type=click.IntRange(0, MOST_SEEDS), default=1, show_default=True)
@click.option("--set", "sets", multiple=True, metavar="NAME[=DIR]", help="A model set; repeat to compare.")
@click.option("--target-fpir", type=click.FloatRange(0, 1, max_open=True), default=0.003, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw DET curves and scores, as PNG.")
@click.option("--max-fpir", type=Share, help="Exit 1 above this share.")
@click.option("--max-fnir", type=Share, help="Exit 1 above this share of everybody.")
@click.option("--max-group-fnir", type=Share, help="Exit 1 above this share of any group.")
@click.option("--max-iapar", type=Share, help="Exit 1 above this share of any species of attack.")
@click.pass_obj
def evaluate(context: Context, /, **options: Any) -> None:
    """Measure the error rates of the gate, with n and 95 % bounds for every rate.

    Without a source, rendered residents and strangers visit a simulated courtyard. With --gallery and --probes, uses
    pictures: NAME/1.jpg or NAME_1.jpg. With --pairs, compares pictures in pairs. With labels of groups, also reports
    the rates of each group, and the ratio of the worst group to the best.

    --live measures PAD at this gate, with its own camera, and stores the rates for the handover page. Stop the gate
    first (`systemctl stop gated`), and run this as its user: `runuser -u gated -- gated evaluate --live`.

    Exit 0; 1 when a limit is given and not met, or was not measured.
    """
    _check(options)
    if options["live"]:
        from gated.cli.evaluate_live import evaluate_live

        wanted: dict[Kind, int] = {
            "bona fide": options["bona_fide"],
            "print": options["prints"],
            "phone": options["phones"],
        }
        evaluate_live(context.settings, wanted, as_json=options["as_json"])
        return
    settings = context.settings_or_defaults
    chosen = [_chosen(settings, name) for name in options["sets"] or [_usual(context, settings)]]
    with _progress() as begin:
        reports = _reports(chosen, options, begin)
    if options["picture"] is not None:
        drawn = io.BytesIO()
        draw(reports, drawn)
        write_named(options["picture"], drawn.getvalue(), 0o666)
    missed = [problem for report in reports for problem in _missed(report, options)]
    if options["as_json"]:
        show_json({"reports": reports, "limits_missed": missed})
    else:
        _print_reports(reports, missed)
    sys.exit(1 if missed else 0)


def _check(options: dict[str, Any]) -> None:
    """Refuse options that contradict each other. Raises `UsageError`."""
    if (options["gallery"] is None) != (options["probes"] is None):
        raise click.UsageError("--gallery and --probes belong together: give both")
    if options["live"] and (options["pairs_file"] is not None or options["gallery"] is not None):
        raise click.UsageError("--live and pictures are two sources: give only one")
    if options["pairs_file"] is not None and options["gallery"] is not None:
        raise click.UsageError("--pairs and --gallery are two sources: give only one")
    if options["groups_file"] is not None and options["gallery"] is None:
        raise click.UsageError("--groups needs --gallery; a CSV file of --pairs has its groups in the fourth column")
    if options["people"] < options["households"]:
        raise click.UsageError(f"{options['people']} people cannot fill {options['households']} households")


def _chosen(settings: Settings, name: str) -> Settings:
    """Return the settings with this model set; in `NAME=DIR`, DIR holds its files."""
    name, _, folder = name.partition("=")
    return replace(settings, models=replace(settings.models, set=name, dir=folder or settings.models.dir))


def _usual(context: Context, settings: Settings) -> str:
    """Return the model set in use; on a desk, the first set that ships with gated."""
    shipped = [name for name, entry in load_manifest(settings.models).sets.items() if entry.folder]
    return shipped[0] if shipped and not context.has_settings else settings.models.set


def _reports(chosen: Sequence[Settings], options: dict[str, Any], begin: Begin) -> list[Report]:
    """Return one report for each model set, all measured on the same pictures."""
    if options["pairs_file"] is not None:
        with reading(options["pairs_file"]):
            listed = pairs.read_pairs(options["pairs_file"])
        return [_on_pairs(settings, listed, begin) for settings in chosen]
    if options["gallery"] is not None:
        return [_on_folders(settings, options, begin) for settings in chosen]
    names = ("households", "people", "visits", "strangers", "attacks", "seed")
    courtyard = Courtyard(**{name: options[name] for name in names})
    return evaluate_courtyard(courtyard, chosen, options["target_fpir"], begin)


def _on_pairs(settings: Settings, listed: Sequence[pairs.Pair], begin: Begin) -> Report:
    pipeline = load_pipeline(settings.models, settings.face)
    ready = pipeline.ready()
    pictures = len({picture for pair in listed for picture in (pair.first, pair.second)})
    compared = pairs.compare(pipeline, listed, begin(f"pictures, {ready.model_set}", pictures))
    threshold = rules_for(settings.access, ready).threshold
    return report_pairs(f"{len(listed):,} pairs of pictures", ready, threshold, compared)


def _on_folders(settings: Settings, options: dict[str, Any], begin: Begin) -> Report:
    people, probes = _identities(options["gallery"]), _identities(options["probes"])
    pipeline = load_pipeline(settings.models, settings.face)
    ready = pipeline.ready()
    rules = rules_for(settings.access, ready)
    labels = _groups(options["groups_file"], people.keys() | probes.keys())
    advance = begin(f"people, {ready.model_set}", len(people))
    applicants = folders.applicants(pipeline, people, advance, labels)
    enrolled = enrol_all(applicants, ready.dimension, rules.threshold, pipeline.composite)
    timed = TimedPipeline(pipeline)
    judge, outcomes = Judge(timed, enrolled.index(ready.dimension), rules), []
    advance = begin(f"pictures, {ready.model_set}", sum(map(len, probes.values())))
    for visit in folders.visits(probes, enrolled.subjects, people, TRUNCATED_AFTER * rules.frames, labels):
        outcomes.append(judge.outcome(visit))
        advance()
    source = f"pictures of {len(probes):,} people as probes"
    return report_visits(source, ready, rules, enrolled, outcomes, target_fpir=options["target_fpir"], laps=timed.laps)


def _groups(path: Path | None, names: set[str]) -> dict[str, groups.Groups]:
    """Return the labels of people by name; none without a file."""
    if path is None:
        return {}
    with reading(path):
        return groups.read_groups(path, names)


def _identities(folder: Path) -> folders.Identities:
    with reading(folder):
        return folders.identities(folder)


def _missed(report: Report, options: dict[str, Any]) -> Iterator[str]:
    """Yield each limit that this set does not meet. A rate that was not measured counts as not met."""
    attacks = {m.of for m in report.measures if m.name == "IAPAR"} or {EVERYBODY}
    groups = {m.of for m in report.measures if m.name == "FNIR"} - {EVERYBODY} or {"any group"}
    for option, name, among in (
        ("max_fpir", "FPIR", {EVERYBODY}),
        ("max_fnir", "FNIR", {EVERYBODY}),
        ("max_group_fnir", "FNIR", groups),
        ("max_iapar", "IAPAR", attacks),
    ):
        limit = options[option]
        for of in sorted(among) if limit is not None else ():
            rate = report.rate(name, of)
            if rate is None or rate.value is None or not rate.value <= limit:
                found = "not measured" if rate is None else str(rate)
                yield f"{report.model_set}: {name} ({of}) {found}; the limit is {limit * 100:g} %"


def _print_reports(reports: Sequence[Report], missed: Sequence[str]) -> None:
    """Print the tables, then the conditions under which the figures hold."""
    streams.echo(f"{reports[0].source}; bounds at 95 %, zero errors in n as below 3/n", "")
    measures = {(m.name, m.of): None for report in reports for m in report.measures}
    labelled = sorted({of for name, of in measures if name == "FTA" and of not in (EVERYBODY, "pictures")})
    rows = [
        [name, of, *(str(report.rate(name, of) or "") for report in reports), ABOUT.get(name, "")]
        for name, of in measures
        if of not in labelled
    ]
    show(["rate", "of", *(report.model_set for report in reports), "what it counts"], rows)
    if labelled:
        _print_groups(reports, labelled, [name for name in GROUPED if any((name, of) in measures for of in labelled)])
    for report in reports:
        streams.echo(*_conditions(report))
    for problem in missed:
        streams.echo(f"not met: {problem}")


def _print_groups(reports: Sequence[Report], labelled: Sequence[str], names: Sequence[str]) -> None:
    """Print the rates of each group, and the differences between groups (ISO/IEC 19795-10)."""
    rows = [
        [of, report.model_set, *(str(report.rate(name, of) or "") for name in names)]
        for of in labelled
        for report in reports
    ]
    show(["group", "set", *names], rows)
    for report in reports:
        for each in report.differentials:
            streams.echo(f"{report.model_set}: {each.name} by group: {each}")


def _conditions(report: Report) -> Iterator[str]:
    """Yield the conditions of one set's rates: thresholds, model digest and gallery size. Without them the rates mean
    nothing.
    """
    sha256 = f"{report.embedder}, SHA-256 {report.embedder_sha256[:12]}"
    summary = f"{report.model_set} ({report.grade} grade; {sha256}): threshold {report.threshold:g}"
    if report.gallery_size:
        summary += f", PAD threshold {report.pad_threshold:g}, {report.frames} captures must agree"
        summary += f", gallery of {report.gallery_size} people with {report.templates} templates"
    yield summary
    yield f"  one capture against a person: mated {report.mated_looks}, non-mated {report.non_mated_looks}"
    separated = report.rate("not separated", "pairs")
    if separated is not None and separated.value is not None:
        yield f"  pairs separated: {100 * (1 - separated.value):.2f} % of {separated.n:,}"
    if report.times:
        stages = ", ".join(str(stage) for stage in report.times)
        yield f"  ms for a picture, median (95th percentile of {report.times[0].n:,}): {stages}"
    if report.proposal is not None:
        p = report.proposal
        summary = f"  for FPIR {p.target_fpir * 100:g} % at N {p.gallery_size}, the threshold is {p.threshold:g} "
        yield f"{summary}(maxima of {p.fpir.n:,} searches by {p.searches}): FPIR {p.fpir}, FNIR {p.fnir}"


@contextmanager
def _progress() -> Iterator[Begin]:
    """Return a progress callback: bars on a terminal, nothing in a pipe."""
    console = Console(err=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def begin(title: str, steps: int) -> Callable[[], None]:
            """Add a progress bar of `steps` steps. Return the function that advances it."""
            task = progress.add_task(title, total=steps)
            return lambda: progress.advance(task)

        yield begin
