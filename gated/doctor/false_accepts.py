"""Reports the calibrated threshold and the false-accept budget: how seldom a stranger is accepted by face.

The doctor, the handover page and `gated status` use it. It reads the stored calibration of the brain, and no face.
"""

from collections.abc import Iterator

from gated.config import Settings
from gated.doctor.finding import Finding, amber, green
from gated.gallery.calibration import Calibration, Reason
from gated.gallery.calibrator import StoredCalibration, stored_calibration

PART = "false-accept budget"
STEP = "ask for a card or a PIN with the face, or enrol each household only at the gates that it uses"
SETTING_STEP = "delete [access] threshold, so that the gate calibrates it"
ALIKE_STEP = "run `gated calibrate` at the gate: it names them and the next step"


def of_faces(settings: Settings) -> Iterator[Finding]:
    """Yield the budget, and the number of people for the registrar to see. Nothing before the first calibration."""
    stored = stored_calibration(settings.state, settings.models.set)
    if stored is None:
        return
    yield _budget(stored.calibration, settings)
    if stored.alike or stored.not_recognised:
        yield _people(stored)


def _budget(found: Calibration, settings: Settings) -> Finding:
    figures = {"threshold": round(found.threshold, 3), "people": found.people}
    days, least = (found.days_for_one(settings.access.strangers_a_day, is_bound=bound) for bound in (False, True))
    if days is None or least is None or found.fpir is None:
        result = f"threshold {found.threshold:.3f} for {found.people} people comes from the table of the model set"
        return green(PART, result, **figures)
    result = (
        f"threshold {found.threshold:.3f} for {found.people} people; of {settings.access.strangers_a_day:g} strangers "
        f"a day one is accepted in {days_text(days)} days, at least {days_text(least)}"
    )
    figures |= {"days": round(days, 2), "least_days": round(least, 2), "fpir": found.fpir}
    if found.is_beyond:
        result = f"recognition cannot distinguish {found.people} people at this gate: {result}"
        return amber(PART, result, STEP, **figures)
    if found.reason is Reason.SETTING and found.fpir > found.target_fpir:
        return amber(PART, f"the fixed {result}", SETTING_STEP, **figures)
    return green(PART, result, **figures)


def _people(stored: StoredCalibration) -> Finding:
    result = (
        f"{stored.alike} pairs of people are too alike, and {stored.not_recognised} people need new pictures, because "
        "their own do not reach the threshold"
    )
    return amber("faces", result, ALIKE_STEP, alike=stored.alike, not_recognised=stored.not_recognised)


def threshold_text(settings: Settings) -> str:
    """Return threshold, uncertainty and budget for `gated status`; empty before the first calibration."""
    stored = stored_calibration(settings.state, settings.models.set)
    if stored is None:
        return ""
    found = stored.calibration
    interval = "" if found.low == found.high else f", interval {found.low:.3f} to {found.high:.3f}"
    text = f"{found.threshold:.3f} ({found.reason}{interval}) for {found.people} people"
    days = found.days_for_one(settings.access.strangers_a_day)
    return f"{text}; one stranger in {days_text(days)} days" if days is not None else text


def days_text(days: float) -> str:
    """Return a number of days with two digits that count."""
    return f"{days:.0f}" if days >= 10 else f"{days:.1f}" if days >= 1 else f"{days:.2f}"
