"""The table of thresholds in the manifest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import ModelSettings
from gated.face.manifest import load_manifest
from gated.threshold_table import ThresholdTable

TABLE = ThresholdTable(0.4, 0.6, ((72, 0.45), (3600, 0.53)))


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_more_people_never_have_a_lower_threshold(some, others):
    few, many = sorted((some, others))
    assert 0 <= TABLE.threshold(few) <= TABLE.threshold(many) < 1


@given(st.integers(72, 3600))
def test_a_middle_row_on_the_line_changes_nothing(people):
    middle = ThresholdTable(0.4, 0.6, ((72, 0.45), (500, TABLE.threshold(500)), (3600, 0.53)))
    assert middle.threshold(people) == pytest.approx(TABLE.threshold(people))


@pytest.mark.parametrize(
    "table",
    [
        ThresholdTable(0.6, 0.4),
        ThresholdTable(0.4, 0.6, ((72, 0.5), (72, 0.6))),
        ThresholdTable(0.4, 0.6, ((72, 0.5), (100, 0.4))),
        ThresholdTable(0.0, 0.6),
        ThresholdTable(0.4, 1.0),
    ],
)
def test_numbers_that_do_not_rise_are_refused(table):
    with pytest.raises(ValueError, match=r"rise|below"):
        table.check()


def test_the_site_sets_have_a_table_and_the_others_one_threshold():
    manifest = load_manifest(ModelSettings())
    tables = {name: manifest.model_set(name).table for name in manifest.sets}
    assert {name for name, table in tables.items() if table is not None} == {"site", "site-light", "site-light-intel"}
    for table in filter(None, tables.values()):
        assert table.floor <= table.threshold(72) < table.threshold(3600) < table.ceiling
