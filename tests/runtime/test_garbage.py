"""The cycle collector rests while a process starts, and runs again afterwards."""

import gc
from collections.abc import Iterator

import pytest

from gated.runtime import garbage


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_a_process_that_has_started_looks_for_cycles_again_and_leaves_alone_what_was_there() -> None:
    before = gc.get_freeze_count()
    garbage.rest()
    assert not gc.isenabled()
    garbage.watch()
    assert gc.isenabled()
    assert gc.get_freeze_count() > before
