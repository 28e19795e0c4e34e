"""Visitor passes in the picture: read where they are, told once, and no other code leaves."""

from itertools import pairwise

import numpy as np
import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gated.face.scan import AGAIN_S, EVERY_S, Pace, Scanner, pass_in
from gated.frame import Frame, i420_from_rgb

PASS = "G1." + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" * 6


def code(text, px=4, **how):
    """A code with its light border, (side, side) uint8."""
    rows = np.array([list(row) for row in segno.make_qr(text, error="l", **how).matrix], np.uint8)
    return np.kron(np.pad(1 - rows, 4, constant_values=1) * 255, np.ones((px, px), np.uint8)).astype(np.uint8)


def picture(*codes, noise=4.0, turned=0.0):
    """Codes beside each other in a grey view of 1280 x 960 with a sensor's noise."""
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
def test_a_pass_is_read_however_it_is_turned(turned):
    assert pass_in(picture(code(PASS), turned=turned)) == PASS


@pytest.mark.parametrize("px", [3, 4, 8])
def test_a_pass_is_read_from_near_and_far(px):
    assert pass_in(picture(code(PASS, px))) == PASS


def test_a_pass_on_a_dark_screen_is_read():
    assert pass_in(picture(255 - code(PASS))) == PASS


def test_an_empty_street_shows_none(view):
    assert pass_in(view((420, 480)).main) is None
    assert pass_in(np.zeros((960, 1280, 3), np.uint8)) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/G1.", "G1", "g1." + "a" * 100, " G1.AAAA", "WIFI:T:WPA;S:G1.;P:x;;", "G2." + PASS[3:],
        "G1." + "A" * 298, "G1.门禁通行证",
    ],
)  # fmt: skip
def test_no_other_code_leaves(text):
    assert pass_in(picture(code(text))) is None


def test_bytes_that_are_no_text_are_no_pass():
    assert pass_in(picture(code(b"G1.\xff\xfe\x00\x80"))) is None


def test_another_kind_of_code_is_not_looked_at():
    strip = np.repeat(code(PASS, 4)[100:101], 120, axis=0)
    assert pass_in(picture(strip)) is None


def test_a_poster_beside_it_does_not_hide_a_pass():
    assert pass_in(picture(code("https://example.org/poster"), code(PASS), code("tel:110"))) == PASS


def test_the_longest_pass_is_read():
    longest = "G1." + "A" * 297
    assert pass_in(picture(code(longest))) == longest


def test_a_picture_upside_down_or_mirrored_tells_no_other_text():
    mirrored = np.asarray(ImageOps.mirror(Image.fromarray(picture(code(PASS)))))
    assert pass_in(mirrored) in (PASS, None)


def test_a_code_that_was_tampered_with_is_read_as_it_was_or_not_at_all():
    """Torn, overpainted and nonsensical codes: error correction mends a few squares, and nothing crashes."""
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


def test_a_pass_that_stays_in_view_is_told_once():
    scanner, main = Scanner(), picture(code(PASS))
    assert [text for i in range(60) if (text := scanner.scan(frame(main, i / 5)))] == [PASS]


def test_a_pass_that_was_put_away_is_told_anew():
    scanner, shown, empty = Scanner(), picture(code(PASS)), picture()
    assert scanner.scan(frame(shown, 0.0)) == PASS
    assert scanner.scan(frame(empty, 1.0)) is None
    assert scanner.scan(frame(shown, 2.0)) is None
    assert scanner.scan(frame(shown, 2.0 + AGAIN_S)) == PASS


def test_at_most_three_scans_a_second():
    pace = Pace()
    assert sum(pace.is_due(i / 30) for i in range(300)) == pytest.approx(30, abs=1)


@given(st.lists(st.floats(0, 2), max_size=60))
def test_two_scans_are_never_nearer_than_that(gaps):
    pace, now, scanned = Pace(), 50.0, []
    for gap_s in gaps:
        now += gap_s
        if pace.is_due(now):
            scanned.append(now)
    assert all(later - earlier >= EVERY_S for earlier, later in pairwise(scanned))


@given(st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.floats(EVERY_S, 4)), max_size=60))
def test_a_text_is_news_just_when_it_was_away(shown):
    pace, now, seen = Pace(), 50.0, {}
    for text, gap_s in shown:
        now += gap_s
        assert pace.is_news(text, now) == (text not in seen or not now - seen[text] < AGAIN_S)
        seen[text] = now


def test_a_stream_of_ever_new_codes_is_not_remembered():
    pace = Pace()
    for i in range(1000):
        assert pace.is_news(f"G1.{i}", i * EVERY_S)
    assert len(pace._seen) <= AGAIN_S / EVERY_S + 1
