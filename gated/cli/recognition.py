"""`gated identify` and `gated bench`: recognise a face in a photo, and measure the cost of recognition."""

import sys
from contextlib import closing
from pathlib import Path

import click
from msgspec.structs import replace

from gated.access.face_calibration import calibrated_rules, rules_for
from gated.access.photos import identify_photo
from gated.camera.decoding import decoded_photo
from gated.camera.pictures import frame_of
from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.calibrate import calibration_now
from gated.cli.table_output import show
from gated.config import Settings
from gated.face.frame_bench import bench as bench_face
from gated.face.frame_bench import estimates, network_costs
from gated.face.pipeline import load_pipeline
from gated.gallery.gallery import Gallery
from gated.gallery.search_bench import search_ratio


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def identify(context: Context, photo: Path, as_json: bool) -> None:
    """Identify the largest face in PHOTO, and show whether the gate would recognise it. Opens nothing and stores
    nothing.

    The threshold is the calibrated one, as at a running gate. Access rules and marks are not applied.

    Exit 0 for a grant, 1 for everything else.
    """
    settings = context.settings
    pipeline = load_pipeline(settings.models, settings.face)
    ready = pipeline.ready()
    origin = ready.embedder_sha256, ready.dimension, pipeline.composite
    with closing(Gallery.open(settings.state, settings.site.id, *origin)) as gallery:
        calibrated = None if ready.table is None else calibration_now(settings, gallery, ready.table)
        rules, own = calibrated_rules(rules_for(settings.access, ready), calibrated)
        found = identify_photo(pipeline, gallery, photo, rules, own)
    if as_json:
        show_json(found)
    else:
        streams.echo(f"{found.outcome}: {found.reason}" + (f", subject {found.subject}" if found.subject else ""))
        score = "no score" if found.score is None else f"score {found.score:.3f}"
        pad = "no PAD score" if found.pad_score is None else f"PAD score {found.pad_score:.3f}"
        streams.echo(
            f"{score}, threshold {found.threshold}, {pad}, gallery of {found.gallery_size}, faces {found.faces}"
        )
    sys.exit(0 if found.outcome == "grant" else 1)


@click.command()
@click.option("--photo", type=click.Path(path_type=Path), help="A picture with a face; by default an assumed face.")
@click.option(
    "--rounds", type=click.IntRange(5, 10_000), default=100, show_default=True, help="Number of measurements."
)
@click.option("--estimate", is_flag=True, help="Estimate the time of a decision on a Pi 5, a Pi 4 and a Zero 2 W.")
@click.option("--sync", is_flag=True, help="Measure gate and office instead: fill, revoke, drain, junk, many gates.")
@click.option(
    "--gates", type=click.IntRange(1, 500), multiple=True, default=(50, 200), help="With --sync: number of gates."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def bench(  # noqa: PLR0917 - the options of a command
    context: Context, photo: Path | None, rounds: int, estimate: bool, sync: bool, gates: tuple[int, ...], as_json: bool
) -> None:
    """Measure the pipeline against the bare models on the same frame, and the search against a bare matrix product.

    Figures are medians of one run, measured in turn. Compare the ratios, not the milliseconds of two machines.
    --estimate measures nothing on a Pi: it uses published rates of its processor.
    """
    if sync:
        from gated.cli.bench_sync import bench_sync

        bench_sync(gates, as_json=as_json)
        return
    settings = context.settings
    if estimate:
        _show_estimates(settings, rounds, as_json=as_json)
        return
    pipeline = load_pipeline(settings.models, settings.face)
    frame = frame_of(decoded_photo(photo), 0.0, 0) if photo is not None else None
    face, search = bench_face(pipeline, frame, rounds), search_ratio(composite=pipeline.composite)
    if as_json:
        show_json({**{name: getattr(face, name) for name in face.__dataclass_fields__}, "search": search})
        return
    rows = [[stage, f"{ms:.2f}"] for stage, ms in face.stages_ms.items()]
    rows += [["all stages", f"{face.total_ms:.2f}"], ["bare models", f"{face.bare_ms:.2f}"]]
    show(["stage", "ms"], rows)
    streams.echo(f"ours / bare: {face.ratio:.2f} ({face.faces} face(s), {face.rounds} rounds)")
    streams.echo(f"search over a bare product: {search['ratio']:.2f} (at {search['templates']:.0f} templates)")


def _show_estimates(settings: Settings, rounds: int, *, as_json: bool) -> None:
    """Print the cost of each network, and the estimate for each board."""
    pipeline = load_pipeline(settings.models, replace(settings.face, threads=1), plain_layout=True)
    costs = network_costs(pipeline, rounds)
    found = estimates(costs, settings.access.frames_if_clear, settings.camera.fps)
    if as_json:
        show_json({"networks": costs, "estimates": found})
        return
    rows = [[each.name, each.stage, f"{each.macs / 1e6:.0f}", f"{each.here_ms:.2f}"] for each in costs]
    show(["network", "stage", "million multiply-accumulates", "ms here"], rows)
    streams.echo(
        f"estimates for {pipeline.model_set.name}, one face, a clear visit of {settings.access.frames_if_clear} frames "
        f"at {settings.camera.fps:g} a second; not measured on these boards"
    )
    rows = [
        [
            each.board,
            str(each.cores),
            "{:.0f} to {:.0f}".format(*each.frame_ms),
            "{:.2f} to {:.2f}".format(*each.decision_s),
        ]
        for each in found
    ]
    show(["board", "cores for vision", "ms for a frame", "s from the first good frame to a decision"], rows)
