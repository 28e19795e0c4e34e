"""Real gpiozero and lgpio over a simulated chip: the choice of the chip, its refusals, and its clean-up."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PI = Path(__file__).parent / "pi"
PI_4 = {0: {"label": "pinctrl-bcm2711"}, 1: {"label": "raspberrypi-exp-gpio", "lines": 8}}


def over(chips, code, tmp_path):
    """Run code over these chips. Returns its output, parsed as JSON."""
    begin = (
        f"import json; from kernel import kernel_of; kernel = kernel_of(json.loads({json.dumps(json.dumps(chips))}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}\n{textwrap.dedent(code)}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PI)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def on_chips(gate):
    """Return a function that runs a gated command over chips and returns the finished process."""

    def run(chips, *arguments):
        return subprocess.run(
            [sys.executable, PI / "kernel.py", json.dumps(chips), "--config", gate.config, *arguments],
            cwd=gate.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    gate.write(door={"pins": "gpio"})
    return run


class TestWhichChip:
    FOUND = "from gated.door.gpio_chip import SteadyFactory; print(json.dumps(SteadyFactory().chip))"

    @pytest.mark.parametrize(
        ("labels", "found"),
        [
            ({0: "pinctrl-bcm2835", 1: "brcmvirt-gpio"}, 0),
            ({0: "pinctrl-bcm2711", 1: "raspberrypi-exp-gpio"}, 0),
            ({0: "pinctrl-rp1", 10: "gpio-brcmstb@107d508500"}, 0),
            ({0: "gpio-brcmstb@107d508500", 4: "pinctrl-rp1"}, 4),
            ({n: f"gpio-brcmstb@{n}" for n in (11, 12, 13, 14)} | {15: "pinctrl-rp1"}, 15),
            ({0: "pinctrl-rp1", 11: "gpio-brcmstb@107d508500", 4: "pinctrl-rp1"}, 0),
            ({0: "ftdi-cbus", 11: "pinctrl-rp1", 12: "gpio-brcmstb@107d508500"}, 11),
            ({0: "gpio-mockup-A", 1: "mcp23017", 31: "pinctrl-bcm2711"}, 31),
        ],
    )
    def test_the_chip_is_found_by_its_label_at_any_number(self, tmp_path, labels, found):
        assert over({number: {"label": label} for number, label in labels.items()}, self.FOUND, tmp_path) == found

    def test_only_its_lines_are_driven(self, tmp_path):
        code = """
        from gated.door.gpio_chip import SteadyFactory
        from gated.door.pin_source import claim_output
        factory = SteadyFactory()
        claim_output(factory, 17, is_on=True)
        print(json.dumps([kernel.chips[0].driven, kernel.chips[13].driven, list(kernel.handles.values())]))
        """
        chips = {0: {"label": "ftdi-cbus"}, 13: {"label": "pinctrl-rp1"}}
        assert over(chips, code, tmp_path) == [[], [[17, 1]], [13]], "and the other chips are closed"

    REFUSED = """
    from gated.door.pin_source import pin_factory
    from gated.config import GateSettings, Settings, SiteSettings
    from gated.errors import LatchError
    try:
        pin_factory(Settings(SiteSettings("s"), GateSettings("g")))
    except LatchError as error:
        print(json.dumps(str(error)))
    """

    def test_without_a_chip_the_error_names_the_labels_searched_and_found(self, tmp_path):
        message = over({0: {"label": "ftdi-cbus"}, 7: {"label": "mcp23017"}}, self.REFUSED, tmp_path)
        for words in ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835", 'gpiochip0 is "ftdi-cbus"', "mcp23017"):
            assert words in message
        assert "gpiodetect" in message

    def test_a_chip_that_this_user_may_not_open_is_named(self, tmp_path):
        dev = tmp_path / "dev"
        dev.mkdir()
        (dev / "gpiochip0").touch()
        code = f"""
        from pathlib import Path
        import gated.door.gpio_chip as chip
        chip.CHIP_DEVICES = Path({str(dev)!r})
        chip.os.access = lambda path, mode: False
        {textwrap.indent(textwrap.dedent(self.REFUSED), " " * 8).strip()}
        """
        message = over({0: {"label": "pinctrl-bcm2711", "is_open_to_us": False}}, code, tmp_path)
        assert "gpiochip0: this user may not open it" in message
        assert "group gpio" in message


DRIVEN = """
from gpiozero import DigitalOutputDevice
relay = DigitalOutputDevice(17, active_high=False, initial_value=False, pin_factory=factory)
relay.on()
print(json.dumps([level for line, level in kernel.chips[0].driven]))
"""


def test_gpiozeros_own_pin_drives_an_active_low_relay_for_an_instant(tmp_path):
    """The fault that our pin avoids. If this test fails, gpiozero has fixed it, and our pin can be removed."""
    own = "from gpiozero.pins.lgpio import LGPIOFactory; factory = LGPIOFactory()"
    assert over(PI_4, own + DRIVEN, tmp_path) == [0, 1, 0]


def test_our_pin_never_drives_an_active_low_relay_before_its_release(tmp_path):
    ours = "from gated.door.gpio_chip import SteadyFactory; factory = SteadyFactory()"
    assert over(PI_4, ours + DRIVEN, tmp_path) == [1, 0]


class TestEdges:
    """lgpio has one thread for all callbacks of a process. An exception on it would stop every edge."""

    @pytest.mark.parametrize(
        "action", ["button.close()", "button.close(); again = claim_input(factory, 23)", "del button"]
    )
    def test_edges_arrive_after_another_pin_was_closed(self, tmp_path, action):
        code = f"""
        import time
        from gated.door.gpio_chip import SteadyFactory
        from gated.door.pin_source import claim_input
        factory, edges = SteadyFactory(), []
        button, contact = claim_input(factory, 23), claim_input(factory, 22)
        contact.when_activated = lambda: edges.append("contact")
        {action}
        for level in (1, 0, 1, 0):
            kernel.edge(0, 23, level)
        kernel.edge(0, 22, 1)
        kernel.edge(0, 22, 0)
        end = time.monotonic() + 20
        while not edges and time.monotonic() < end:
            time.sleep(0.01)
        import lgpio
        print(json.dumps([edges, lgpio._notify_thread.is_alive(), len(lgpio._notify_thread.callbacks)]))
        """
        edges, is_alive, callbacks = over(PI_4, code, tmp_path)
        assert (edges, is_alive) == (["contact"], True)
        assert callbacks == (2 if "again" in action else 1)

    def test_edges_arrive_after_a_factory_was_closed_and_another_opened(self, tmp_path):
        code = """
        import time
        from gated.door.gpio_chip import SteadyFactory
        from gated.door.pin_source import claim_input
        edges = []
        for number in range(3):
            factory = SteadyFactory()
            button = claim_input(factory, 23)
            button.when_activated = lambda: edges.append(number)
            end = time.monotonic() + 15
            while number not in edges and time.monotonic() < end:  # gpiozero reads the level after the edge
                for level in (1, 0):
                    kernel.edge(0, 23, level)
                    time.sleep(0.05)
            factory.close()
            kernel.edge(0, 23, 1)
        print(json.dumps([len(set(edges)), len(kernel.handles), kernel.chips[0].holders]))
        """
        assert over(PI_4, code, tmp_path) == [3, 0, {}]

    def test_an_exception_in_one_callback_stops_no_other_edge(self, tmp_path):
        code = """
        import time
        from gated.door.gpio_chip import SteadyFactory
        from gated.door.pin_source import claim_input
        factory, edges = SteadyFactory(), []
        button, contact = claim_input(factory, 23), claim_input(factory, 22)
        button.when_activated = lambda: 1 / 0
        contact.when_activated = lambda: edges.append("contact")
        import logging
        logging.disable()
        for line in (23, 22):
            kernel.edge(0, line, 1)
            kernel.edge(0, line, 0)
        end = time.monotonic() + 20
        while not edges and time.monotonic() < end:
            time.sleep(0.01)
        print(json.dumps(edges))
        """
        assert over(PI_4, code, tmp_path) == ["contact"]


BUSY_LOCK = {0: {"label": "pinctrl-bcm2711", "busy": {17: "spi0 CS0"}}}


class TestRefusals:
    """Each refusal of lgpio becomes one line with the pin, the reason and the next step, and no traceback."""

    @pytest.mark.parametrize("command", [["latch"], ["latch", "--secure"], ["check"]])
    @pytest.mark.parametrize(
        ("chips", "words"),
        [
            (BUSY_LOCK, ['pin 17 cannot be claimed (GPIO busy, held by "spi0 CS0")', "gpioinfo"]),
            ({0: {"label": "pinctrl-bcm2711", "lines": 8}}, ["pin 17 cannot be claimed (bad GPIO number)"]),
            ({}, ["no GPIO that can be used", "pinctrl-rp1"]),
            ({0: {"label": "pinctrl-rp1", "is_open_to_us": False}}, ["no GPIO that can be used", "group gpio"]),
        ],
    )
    def test_every_command_that_claims_pins_explains_a_refusal(self, on_chips, command, chips, words):
        done = on_chips(chips, *command)
        output = done.stdout + done.stderr
        assert done.returncode == 3, output
        assert "Traceback" not in output
        for each in words:
            assert each in output

    def test_a_busy_lock_does_not_stop_the_other_lock(self, on_chips, gate):
        gate.write(second_door={"lock_pin": 11, "rex_waiver": "a test"})
        done = on_chips(BUSY_LOCK, "latch", "--secure")
        assert "pin 17 cannot be claimed" in done.stderr
        assert "pin 11" not in done.stderr

    def test_a_line_that_fails_later_is_named(self, tmp_path):
        code = """
        import lgpio
        from gated.door.gpio_chip import SteadyFactory
        from gated.door.pin_source import claim_input, claim_output
        from gated.errors import LatchError
        factory, errors = SteadyFactory(), []
        lock, button = claim_output(factory, 17), claim_input(factory, 23)
        lgpio._lgpio._gpio_write = lgpio._lgpio._gpio_read = lambda *given: lgpio.BAD_HANDLE
        for use in (lock.on, lambda: button.value):
            try:
                use()
            except LatchError as error:
                errors.append(str(error))
        print(json.dumps(errors))
        """
        errors = over(PI_4, code, tmp_path)
        assert [words.split(";")[0] for words in errors] == [
            "pin 17 cannot be used (unknown handle)",
            "pin 23 cannot be used (unknown handle)",
        ]

    def test_a_line_that_cannot_be_given_back_does_not_disturb_its_next_owner(self, tmp_path):
        code = """
        import gc, lgpio
        from gated.door.gpio_chip import SteadyFactory
        from gated.door.pin_source import claim_output
        factory = SteadyFactory()
        claim, fails = lgpio._lgpio._gpio_claim_input, lambda *given: lgpio.BAD_HANDLE
        lamp = claim_output(factory, 5)
        lgpio._lgpio._gpio_claim_input = fails
        lamp.close()
        lgpio._lgpio._gpio_claim_input = claim
        again = claim_output(factory, 5, is_on=True)
        del lamp
        gc.collect()
        print(json.dumps([again.value, again.pin.function]))
        """
        assert over(PI_4, code, tmp_path) == [1, "output"]

    def test_check_gives_every_line_back_and_names_the_missing_optional_parts(self, on_chips, gate):
        gate.write(cues={"ready_pin": 5}, door={"contact_pin": 22})
        done = on_chips({0: {"label": "pinctrl-rp1", "busy": {5: "onewire@5", 22: "hog"}}}, "check")
        (line,) = [line for line in done.stdout.splitlines() if "pins" in line]
        assert line.startswith("note  pins")
        assert 'lamps cannot be used: pin 5 cannot be claimed (GPIO busy, held by "onewire@5")' in line
        assert "contact cannot be used: pin 22" in line
