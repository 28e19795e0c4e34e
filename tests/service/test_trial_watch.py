"""The verdict on settings on trial is applied, and reported once."""

import pytest

from gated.config.settings_trial import SettingsTrial
from gated.errors import StateError
from gated.events import SettingsTried
from gated.service import trial_watch
from gated.service.trial_watch import judge

KEPT, ROLLED_BACK = SettingsTried("kept"), SettingsTried("rolled_back", "parts lost during the trial: camera")


class Trial(SettingsTrial):
    """A trial whose verdicts are given. `applied` is what `apply_verdict` returns, or the error that it raises."""

    def __init__(self, *verdicts, applied=True):
        self.verdicts, self.applied, self.seen = list(verdicts), applied, []

    def judge(self, lost, now):
        self.seen.append(tuple(lost))
        return self.verdicts.pop(0)

    def apply_verdict(self, verdict):
        if isinstance(self.applied, Exception):
            raise self.applied
        return self.applied


@pytest.fixture
def reported(monkeypatch):
    monkeypatch.setattr(trial_watch, "WATCH_S", 0.0)
    return []


@pytest.mark.parametrize("verdict", [KEPT, ROLLED_BACK])
async def test_an_applied_verdict_is_reported_and_its_outcome_returned(reported, verdict):
    assert await judge(Trial(verdict), list, reported.append) == verdict.outcome
    assert reported == [verdict]


async def test_a_trial_without_a_verdict_goes_on_with_the_parts_that_are_lost_then(reported):
    lost = iter([["camera"], [], []])
    trial = Trial(None, None, KEPT)
    assert await judge(trial, lambda: next(lost), reported.append) == "kept"
    assert trial.seen == [("camera",), (), ()]


async def test_a_verdict_on_a_replaced_proposal_is_not_reported(reported):
    assert await judge(Trial(ROLLED_BACK, applied=False), list, reported.append) == "rolled_back"
    assert reported == []


async def test_a_verdict_that_cannot_be_stored_is_logged_and_not_reported(reported, caplog):
    trial = Trial(ROLLED_BACK, applied=StateError("the disk is read-only"))
    assert await judge(trial, list, reported.append) == "rolled_back"
    assert reported == []
    assert "the disk is read-only" in caplog.text
