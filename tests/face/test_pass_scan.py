"""Visitor passes in the picture are read and reported once. No other code is returned."""

from itertools import pairwise
from time import thread_time

import numpy as np
import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gated.face.pass_scan import AGAIN_S, EVERY_S, PAUSE, Scanner, ScanPace, pass_in
from gated.frame import Frame, i420_from_rgb

PASS = "G1." + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" * 6


def code(text, px=4, **how):
    """Return a QR code with its light border, (side, side) uint8."""
    rows = np.array([list(row) for row in segno.make_qr(text, error="l", **how).matrix], np.uint8)
    return np.kron(np.pad(1 - rows, 4, constant_values=1) * 255, np.ones((px, px), np.uint8)).astype(np.uint8)


def picture(*codes, noise=4.0, turned=0.0):
    """Draw codes beside each other in a grey view of 1280 x 960, with noise of the sensor."""
    view = Image.new("L", (1280, 960), 120)
    for i, drawn in enumerate(codes):
        view.paste(Image.fromarray(drawn).rotate(turned, expand=True, fillcolor=255), (60 + 400 * i, 300))
    noisy = np.asarray(view) + np.random.default_rng(0).normal(0, noise, (960, 1280))
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def frame(main, at):
    return Frame(main, i420_from_rgb(main[::4, ::4]), at, int(at * 10))


def test_a_pass_is_read():
    assert pass_in(picture(code(PASS))) == PASS


@pytest.mark.parametrize("turned", [-90, -20, 7, 90, 180])
def test_a_rotated_pass_is_read(turned):
    assert pass_in(picture(code(PASS), turned=turned)) == PASS


@pytest.mark.parametrize("px", [3, 4, 8])
def test_a_pass_is_read_from_near_and_far(px):
    assert pass_in(picture(code(PASS, px))) == PASS


def test_a_pass_on_a_dark_screen_is_read():
    assert pass_in(picture(255 - code(PASS))) == PASS


def test_an_empty_street_contains_no_pass(view):
    assert pass_in(view((420, 480)).main) is None
    assert pass_in(np.zeros((960, 1280, 3), np.uint8)) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/G1.", "G1", "g1." + "a" * 100, " G1.AAAA", "WIFI:T:WPA;S:G1.;P:x;;", "G2." + PASS[3:],
        "G1." + "A" * 298, "G1.门禁通行证",
    ],
)  # fmt: skip
def test_no_other_code_is_returned(text):
    assert pass_in(picture(code(text))) is None


def test_bytes_other_than_text_are_no_pass():
    assert pass_in(picture(code(b"G1.\xff\xfe\x00\x80"))) is None


def test_other_kinds_of_code_are_ignored():
    strip = np.repeat(code(PASS, 4)[100:101], 120, axis=0)
    assert pass_in(picture(strip)) is None


def test_a_poster_beside_a_pass_does_not_hide_the_pass():
    assert pass_in(picture(code("https://example.org/poster"), code(PASS), code("tel:110"))) == PASS


def test_the_longest_pass_is_read():
    longest = "G1." + "A" * 297
    assert pass_in(picture(code(longest))) == longest


def test_a_flipped_or_mirrored_pass_gives_no_other_text():
    mirrored = np.asarray(ImageOps.mirror(Image.fromarray(picture(code(PASS)))))
    assert pass_in(mirrored) in (PASS, None)


def test_a_damaged_code_is_read_correctly_or_not_at_all():
    """Torn, painted and nonsensical codes: error correction repairs a few squares, and nothing raises."""
    dice, drawn, read = np.random.default_rng(20), code(PASS, 1), 0
    for torn in range(150):
        mangled = drawn.copy()
        side = mangled.shape[0]
        for _ in range(torn // 3):
            y, x = dice.integers(0, side, 2)
            mangled[y : y + dice.integers(1, 6), x : x + dice.integers(1, 6)] = dice.choice([0, 255])
        found = pass_in(picture(np.kron(mangled, np.ones((4, 4), np.uint8))))
        assert found in (PASS, None)
        read += found == PASS
    assert 1 <= read < 150


def test_a_pass_that_stays_in_view_is_reported_once():
    scanner, main = Scanner(), picture(code(PASS))
    assert [text for i in range(60) if (text := scanner.scan(frame(main, i / 5)))] == [PASS]


def test_a_pass_shown_again_is_reported_again():
    scanner, shown, empty = Scanner(), picture(code(PASS)), picture()
    assert scanner.scan(frame(shown, 0.0)) == PASS
    assert scanner.scan(frame(empty, 1.0)) is None
    assert scanner.scan(frame(shown, 2.0)) is None
    assert scanner.scan(frame(shown, 2.0 + AGAIN_S)) == PASS


def test_at_most_three_scans_a_second():
    pace = ScanPace()
    assert sum(pace.is_due(i / 30) for i in range(300)) == pytest.approx(30, abs=1)


def finders(px, size=(960, 1280)):
    """Draw a field of finder patterns (those in three corners of a QR code) with squares of `px`."""
    dark = np.zeros((8, 8), np.uint8)
    dark[:7, :7] = 1
    dark[1:6, 1:6] = 0
    dark[2:5, 2:5] = 1
    one = np.kron((1 - dark) * 255, np.ones((px, px), np.uint8)).astype(np.uint8)
    times = [-(-side // length) for side, length in zip(size, one.shape, strict=True)]
    return np.repeat(np.tile(one, times)[: size[0], : size[1], None], 3, axis=2)


def cost_s(main):
    began = thread_time()
    assert pass_in(main) is None
    return thread_time() - began


@pytest.mark.parametrize("size", [(960, 1280), (1944, 2592)])
def test_the_finest_field_of_finder_patterns_costs_no_more_than_a_coarser_one(size):
    assert cost_s(finders(1, size)) < cost_s(finders(3)) + 0.1


def test_a_pass_in_a_large_picture_is_read():
    small = Image.fromarray(picture(code(PASS, 4)))
    assert pass_in(np.asarray(small.resize((2592, 1944)))) == PASS


@pytest.mark.parametrize(("cost_s", "every_s"), [(0.0, EVERY_S), (0.01, EVERY_S), (0.7, 7.0), (3.0, 30.0)])
def test_a_long_scan_is_followed_by_a_long_pause(cost_s, every_s):
    """Scans take at most a tenth of the time, so that faces never starve. The first cheap scan ends the pause."""
    pace = ScanPace()
    assert pace.is_due(50.0)
    pace.record_cost(cost_s)
    assert not pace.is_due(50.0 + every_s - 0.01)
    assert pace.is_due(50.0 + every_s + 0.01)
    pace.record_cost(0.01)
    assert pace.is_due(50.0 + every_s + 0.02 + EVERY_S)


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=30))
def test_scans_take_at_most_a_tenth_of_the_time(costs):
    pace, now, spent_s = ScanPace(), 50.0, 0.0
    for cost_s in costs:
        while not pace.is_due(now):
            now += 0.1
        now, spent_s = now + cost_s, spent_s + cost_s
        pace.record_cost(cost_s)
    while not pace.is_due(now):
        now += 0.1
    assert spent_s <= (now - 50.0) / PAUSE + 1e-6


def test_a_pass_still_in_view_after_a_long_pause_is_not_reported_again():
    """Reporting it again would spend another use."""
    pace = ScanPace()
    assert pace.is_due(50.0)
    assert pace.is_new_in_view(PASS, 50.0)
    pace.record_cost(2.0)
    assert pace.is_due(70.0)
    assert not pace.is_new_in_view(PASS, 70.0)
    pace.record_cost(2.0)
    assert pace.is_due(90.0)
    pace.record_cost(0.0)
    assert pace.is_due(91.0)
    assert pace.is_new_in_view(PASS, 91.0), "it was away at 90"


@given(st.lists(st.floats(0, 2), max_size=60))
def test_two_scans_are_at_least_the_interval_apart(gaps):
    pace, now, scanned = ScanPace(), 50.0, []
    for gap_s in gaps:
        now += gap_s
        if pace.is_due(now):
            scanned.append(now)
    assert all(later - earlier >= EVERY_S for earlier, later in pairwise(scanned))


@given(st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.floats(EVERY_S, 4)), max_size=60))
def test_a_text_is_new_only_after_it_was_out_of_view(shown):
    pace, now, seen = ScanPace(), 50.0, {}
    for text, gap_s in shown:
        now += gap_s
        assert pace.is_new_in_view(text, now) == (text not in seen or not now - seen[text] < AGAIN_S)
        seen[text] = now


def test_a_stream_of_new_codes_does_not_fill_the_memory():
    pace = ScanPace()
    for i in range(1000):
        assert pace.is_new_in_view(f"G1.{i}", i * EVERY_S)
    assert len(pace._seen) <= AGAIN_S / EVERY_S + 1
