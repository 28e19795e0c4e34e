"""Estimates for boards that nobody measured: a range, from the counts of the manifest and published rates."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import FaceSettings, ModelSettings
from gated.face.board_estimate import BOARDS, LEAST, MOST, SPEEDUP, NetworkCost, efficiencies, estimated, side_by_side_s
from gated.face.frame_bench import estimates, network_costs
from gated.face.manifest import load_manifest
from gated.face.pipeline import load_pipeline

COSTS = [NetworkCost("d", "detect", 1e8, 4.0), NetworkCost("p", "pad", 2e8, 8.0), NetworkCost("e", "embed", 5e8, 20.0)]
PI_4 = next(board for board in BOARDS if board.name == "Pi 4")

cost = st.builds(
    NetworkCost,
    name=st.just("x"),
    stage=st.sampled_from(["detect", "pad", "embed"]),
    macs=st.floats(1e6, 1e10),
    here_ms=st.floats(0.01, 1000),
)


ONE_CORE = 1 / SPEEDUP[4]


def test_on_one_core_a_frame_is_the_sum_of_its_networks():
    found = estimated(COSTS, PI_4, cores=1, frames=1, fps=10)
    assert found.frame_ms[0] == pytest.approx(1.1 * 8e8 / (PI_4.fast * ONE_CORE) * 1e3)
    assert found.decision_s[1] == pytest.approx(found.frame_ms[1] / 1e3)


def test_on_two_cores_the_networks_follow_each_other_with_two_threads_each():
    """The detector's threads divide half of its work."""
    detect, face = 1e8 * 0.75, 7e8 / 1.7
    expected = 1.1 * (detect + face) / (PI_4.slow * ONE_CORE) * 1e3
    assert estimated(COSTS, PI_4, cores=2, frames=1, fps=10).frame_ms[1] == pytest.approx(expected)


def test_on_four_cores_embedder_and_pad_run_side_by_side_after_the_detector():
    """Two networks share a rate of 2.7 until the shorter one ends. Then the other one has a rate of 1.7."""
    detect, both, rest = 1e8 * 0.625, 2 * 2e8 / 2.7, 3e8 / 1.7
    expected = 1.1 * (detect + both + rest) / (PI_4.slow * ONE_CORE) * 1e3
    assert estimated(COSTS, PI_4, cores=4, frames=1, fps=10).frame_ms[1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("work", "cores", "expected"),
    [
        ([], 4, 0.0),
        ([2.0], 1, 2.0),
        ([2.0], 4, 2 / 1.7),
        ([1.0, 1.0], 1, 2.0),
        ([1.0, 1.0], 2, 2 / 1.7),
        ([1.0, 1.0, 1.0], 3, 3 / 1.7),
        ([1.0, 1.0], 4, 2 / 2.7),
        ([3.0, 1.0, 1.0], 4, 4 / 2.7 + 1 / 1.7),
    ],
)
def test_networks_take_the_next_free_lane_and_share_the_rate_of_the_busy_cores(work, cores, expected):
    assert side_by_side_s(work, cores) == pytest.approx(expected)


@given(st.lists(st.floats(0.001, 10), max_size=7), st.integers(1, 4))
def test_side_by_side_is_never_faster_than_the_cores_nor_slower_than_one_after_another(work, cores):
    found = side_by_side_s(work, cores)
    assert found >= sum(work) / SPEEDUP[cores] * (1 - 1e-9)
    assert found <= sum(work) * (1 + 1e-9)


def test_a_fast_board_waits_for_the_camera():
    pi_5 = BOARDS[0]
    found = estimated(COSTS, pi_5, cores=4, frames=3, fps=2)
    assert found.decision_s[0] == pytest.approx(2 / 2 + found.frame_ms[0] / 1e3)


@given(st.lists(cost, min_size=1, max_size=6), st.integers(1, 5), st.floats(1, 60))
def test_every_estimate_is_a_range_and_one_core_is_the_slowest(costs, frames, fps):
    for board in BOARDS:
        one, four = (estimated(costs, board, cores=cores, frames=frames, fps=fps) for cores in (1, 4))
        for each in (one, four):
            assert 0 < each.frame_ms[0] <= each.frame_ms[1]
            assert 0 < each.decision_s[0] <= each.decision_s[1] < math.inf
        assert four.frame_ms[1] <= one.frame_ms[1] * (1 + 1e-9)
    assert all(LEAST <= each <= MOST for each in efficiencies(costs))


def test_boards_are_in_the_order_of_their_speed():
    assert [board.name for board in BOARDS] == ["Pi 5", "Pi 4", "Zero 2 W"]
    assert [board.slow for board in BOARDS] == sorted((board.slow for board in BOARDS), reverse=True)


def test_every_model_of_a_set_has_its_multiply_accumulates():
    manifest = load_manifest(ModelSettings())
    for chosen in manifest.sets.values():
        embedders = [chosen.embedder] if isinstance(chosen.embedder, str) else chosen.embedder
        for name in (chosen.detector, *chosen.pad, *embedders):
            assert manifest.models[name].macs, name


def test_the_estimate_covers_each_network_and_board():
    costs = network_costs(load_pipeline(ModelSettings(set="courtyard"), FaceSettings(threads=1)), rounds=2)
    assert [each.stage for each in costs] == ["detect", "detect", "embed", "pad"]
    assert costs[1].macs == pytest.approx(costs[0].macs * 128 * 128 / (320 * 256))
    found = estimates(costs, frames=3, fps=10)
    assert [(each.board, each.cores) for each in found] == [(b.name, n) for b in BOARDS for n in (4, 2)]


def test_the_counts_of_the_manifest_are_those_of_the_graphs(shipped_graphs):
    for entry, counted in shipped_graphs:
        assert entry.macs == counted, entry.file


@pytest.fixture
def shipped_graphs():
    """The models of the courtyard, with their multiply-accumulates counted in the graph."""
    onnx = pytest.importorskip("onnx")
    from gated.face.manifest import folder_of, load_set

    settings = ModelSettings(set="courtyard")
    chosen = load_set(settings)
    folder = folder_of(settings, chosen)
    return [(entry, counted_macs(onnx.load(folder / entry.file), entry.input.size)) for entry in chosen.models]


def counted_macs(model, size):
    """Count the multiply-accumulates of convolutions and matrix products in a graph."""
    from onnx import shape_inference

    for dim, length in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, size[1], size[0]), strict=True):
        dim.Clear()
        dim.dim_value = length
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    model = shape_inference.infer_shapes(model, data_prop=True)
    known = [*model.graph.value_info, *model.graph.output]
    shapes = {each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim] for each in known}
    shapes |= {each.name: list(each.dims) for each in model.graph.initializer}
    of_convolutions = sum(
        math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        for node in model.graph.node
        if node.op_type == "Conv"
    )
    of_products = sum(
        math.prod(shapes[node.input[1]]) for node in model.graph.node if node.op_type in {"Gemm", "MatMul"}
    )
    return of_convolutions + of_products
