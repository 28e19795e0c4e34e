"""Tests the doctor's verdicts: every amber or red finding has a next step, and nothing unsafe is green."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import Settings, parse
from gated.doctor.diagnosis import (
    lost_parts,
    nobody_in,
    of_credential_kinds,
    of_decisions,
    of_doors,
    of_help,
    of_latch,
    of_readers,
    of_wiring,
)
from gated.doctor.finding import SIGNS, Finding, amber, green, is_well, red
from gated.door.latch_messages import LatchState
from gated.events import AccessGranted, Degraded, DoorClosed, ReaderMisread, Started

GOOD = {"pins": "gpio", "rex_pin": 23, "contact_pin": 22}
QUIET = LatchState("secured", {"main": "secured"}, {"main.rex": False}, has_brain=True)
PARTS = ["vision", "models", "clock", "readers", "pass key"]


def settings(door=None, *, second=None, **tables) -> Settings:
    more = {} if second is None else {"second_door": second}
    return parse({"site": {"id": "s"}, "gate": {"id": "g"}, "door": GOOD | (door or {})} | more | tables, Path("/"))


def without_exit_button(**door) -> Settings:
    door = {"pins": "gpio", "contact_pin": 22} | door
    return parse({"site": {"id": "s"}, "gate": {"id": "g"}, "door": door}, Path("/"))


def lights(findings: list[Finding]) -> dict[str, str]:
    findings = list(findings)
    assert all(finding.next_step for finding in findings if finding.light != "green"), findings
    assert all(finding.result for finding in findings)
    return {finding.part: finding.light for finding in findings}


def test_every_light_has_its_own_sign():
    assert len(set(SIGNS.values())) == len(SIGNS) == 3


def test_red_alone_is_not_well():
    assert is_well([])
    assert is_well([green("a", "b"), amber("a", "b", "c")])
    assert not is_well([green("a", "b"), red("a", "b", "c")])


def test_a_healthy_gate_is_green_in_every_part():
    good = settings()
    assert set(lights(of_latch(good, QUIET, "")).values()) == {"green"}
    assert lights(of_wiring(good)) == {"wiring": "green"}
    assert lights(of_doors(good, QUIET)) == {}


def test_a_silent_latch_is_red_and_the_door_state_is_unknown():
    findings = list(of_latch(settings(), None, "no latch runs at x"))
    assert lights(findings) == {"latch": "red", "brain": "red"}
    assert "no latch runs at x" in findings[0].result
    assert "unknown" in findings[0].result


def test_a_gate_without_a_brain_is_red():
    assert lights(of_latch(settings(), LatchState("secured"), "")) == {"latch": "green", "brain": "red"}


@pytest.mark.parametrize("seen", [None, LatchState("secured")])
def test_on_a_desk_a_stopped_part_is_not_red(seen):
    assert "red" not in lights(of_latch(settings({"pins": "mock"}), seen, "none")).values()


def test_a_door_without_an_exit_is_red():
    assert lights(of_wiring(without_exit_button())) == {"door.rex_pin": "red"}
    assert lights(of_wiring(without_exit_button(rex_waiver="  "))) == {"door.rex_pin": "red"}


def test_a_written_waiver_makes_a_missing_exit_amber():
    found = without_exit_button(rex_waiver="the office, 2027-01-15")
    assert lights(of_wiring(found)) == {"main.rex": "amber", "wiring": "green"}


def test_the_second_door_is_checked_like_the_first():
    found = lights(of_wiring(settings(second={"lock_pin": 11})))
    assert (found["second_door.rex_pin"], found["second.contact"]) == ("red", "amber")


def test_a_fire_input_without_a_reset_key_is_amber():
    assert lights(of_wiring(settings({"fire_pin": 24})))["fire"] == "amber"
    assert "fire" not in lights(of_wiring(settings({"fire_pin": 24, "fire_reset_pin": 25})))
    assert "fire" not in lights(of_wiring(settings({"fire_pin": 24}, second={"lock_pin": 11, "fire_reset_pin": 5})))


def test_mock_pins_never_count_as_a_real_gate():
    assert lights(of_wiring(settings({"pins": "mock"})))["pins"] == "amber"


@pytest.mark.parametrize(
    ("pin", "active_high", "is_told"), [(17, True, False), (17, False, True), (4, True, True), (4, False, False)]
)
def test_a_relay_that_the_pi_switches_on_at_power_on_is_reported(pin, active_high, is_told):
    found = lights(of_wiring(settings({"lock_pin": pin, "lock_active_high": active_high})))
    assert ("main.lock" in found) == is_told


def test_a_magnet_powered_at_power_on_is_not_reported():
    assert "main.lock" not in lights(
        of_wiring(settings({"lock": "maglock", "fail": "safe", "lock_active_high": False}))
    )


@pytest.mark.parametrize(
    ("seen", "part", "light"),
    [
        (LatchState("released", {"main": "released"}, is_on_fire=True), "fire", "red"),
        (LatchState("secured", {"main": "secured"}, {"main.tamper": True}), "main.tamper", "red"),
        (LatchState("open", {"main": "open"}), "main.contact", "amber"),
    ],
)
def test_an_open_alarm_is_reported(seen, part, light):
    assert lights(of_doors(settings(), seen)) == {part: light}


def test_doors_in_unknown_state_are_not_described():
    assert lights(of_doors(settings(), None)) == {}


def test_the_newest_loss_report_of_a_brain_is_shown():
    assert lost_parts([Degraded(["clock"]), Degraded(["vision"])]) == {"clock"}
    assert lost_parts([DoorClosed(), Degraded(["vision"]), Started("1", "0")]) == {"vision"}
    assert lost_parts([Degraded([]), Degraded(["vision"])]) == frozenset()


def test_a_restart_clears_the_losses_of_the_last_brain():
    assert lost_parts([Started("1", "0"), Degraded(["vision"])]) == frozenset()
    assert lost_parts([None, DoorClosed()]) == frozenset()


def test_without_latch_or_brain_and_in_a_lockdown_nobody_is_let_in():
    assert "latch" in nobody_in(None, False)
    assert "brain" in nobody_in(LatchState("secured"), False)
    assert "lockdown" in nobody_in(QUIET, True)
    assert nobody_in(QUIET, False) == ""


def every_credential_kind() -> Settings:
    return settings(
        {"wiegand_pins": [12, 13], "call_pin": 6},
        readers={"keypad_rows": [0, 1, 2, 3], "keypad_columns": [4, 5, 7], "pass_key": "site.pub"},
    )


def test_every_fitted_credential_kind_is_shown():
    names = ["face", "card", "PIN", "visitor pass", "call button"]
    assert lights(of_credential_kinds(every_credential_kind(), [], "")) == {
        f"credential: {name}": "green" for name in names
    }


def test_without_a_camera_cards_and_pins_still_work():
    found = lights(of_credential_kinds(every_credential_kind(), ["vision"], ""))
    amber_ones = {part for part, light in found.items() if light == "amber"}
    assert amber_ones == {"credential: face", "credential: visitor pass"}


def test_an_untrusted_clock_stops_only_passes():
    found = lights(of_credential_kinds(every_credential_kind(), ["clock"], ""))
    assert [part for part, light in found.items() if light != "green"] == ["credential: visitor pass"]


def test_a_gate_with_only_faces_is_advised_to_add_another_credential():
    assert lights(of_credential_kinds(settings(), [], "")) == {"credential: face": "green", "credential kinds": "amber"}


def test_a_lost_usb_reader_disables_cards_unless_a_wired_reader_works():
    usb = {"readers": {"devices": ["/dev/input/x"]}}
    assert lights(of_credential_kinds(settings(**usb), ["readers"], "")) | {"credential: face": ""} == {
        "credential: face": "", "credential: card": "amber", "credential: PIN": "amber",
    }  # fmt: skip
    assert (
        lights(of_credential_kinds(settings({"wiegand_pins": [12, 13]}, **usb), ["readers"], ""))["credential: card"]
        == "green"
    )


def test_if_nobody_can_be_let_in_the_finding_is_red_with_the_reason():
    (finding,) = of_credential_kinds(every_credential_kind(), [], "no brain controls the doors")
    assert (finding.light, finding.part) == ("red", "credential kinds")
    assert "no brain" in finding.result
    (finding,) = of_credential_kinds(settings(), ["models"], "")
    assert finding.light == "red"
    assert "models is not well" in finding.result


@given(st.sets(st.sampled_from(PARTS)), st.sampled_from(["", "no latch runs"]), st.booleans())
def test_a_credential_kind_is_never_green_while_it_cannot_open(broken, nobody, is_desk):
    found = lights(
        of_credential_kinds(settings({"pins": "mock" if is_desk else "gpio", "wiegand_pins": [12, 13]}), broken, nobody)
    )
    if nobody:
        assert set(found) == {"credential kinds"}
        assert found["credential kinds"] == ("amber" if is_desk else "red")
    else:
        assert (found["credential: face"] == "green") == (not broken & {"models", "vision"})
        assert found["credential: card"] == "green"


def granted(latency_s):
    return AccessGranted("v", "s", 0.6, 0.4, 9, 0.9, 3, "ab", latency_s)


def test_recent_decision_times_are_shown_without_people():
    (found,) = of_decisions([granted(0.1 + i / 1000) for i in range(200)])
    assert found.light == "green"
    assert found.figures["decisions"] == 100
    assert found.figures["p95_s"] == pytest.approx(0.194)


def test_one_slow_decision_in_ten_is_amber_and_no_visits_give_no_finding():
    slow = [granted(0.9 if i % 10 == 0 else 0.1) for i in range(50)]
    assert [found.light for found in of_decisions(slow)] == ["amber"]
    assert list(of_decisions([None, Started("1", "x")])) == []


# Whom a visitor can call


def test_a_gate_without_a_telephone_number_is_advised_to_set_one():
    assert lights(of_help(settings())) == {"telephone": "amber"}
    assert lights(of_help(settings(cues={"phone": "110"}))) == {"telephone": "green"}


def test_a_call_button_without_a_receiver_is_reported():
    assert lights(of_help(settings({"call_pin": 6})))["call button"] == "amber"
    office = {"url": "mqtts://office", **dict.fromkeys(("ca", "cert", "key", "gate_keys", "office_keys"), "x")}
    assert "call button" not in lights(of_help(settings({"call_pin": 6}, sync=office)))


@pytest.mark.parametrize("part", ["network", "server", "sync"])
def test_the_call_button_depends_on_the_office_and_a_card_does_not(part):
    found = lights(of_credential_kinds(every_credential_kind(), [part], ""))
    assert [name for name, light in found.items() if light != "green"] == ["credential: call button"]


def test_unreadable_reader_output_is_reported_once_for_a_day():
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    swapped = ReaderMisread("wiegand of the main door", "26 bits, parity wrong: D0 and D1 swapped?")
    facts = [(now - timedelta(hours=hours), swapped) for hours in range(1, 20)]
    facts += [(now - timedelta(hours=30), ReaderMisread("usb", "10 keys were not understood: too long ago"))]
    (found,) = of_readers(facts, now)
    assert (found.part, found.light) == ("reader wiegand of the main door", "amber")
    assert found.result.count("D0 and D1 swapped?") == 1
    assert "gated readers" in found.next_step
    assert list(of_readers([], now)) == []
