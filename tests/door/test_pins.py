"""Where the electricity comes from: the trace of mock pins, and real lgpio code over a chip that is not there."""

import json
import subprocess
import sys
import textwrap

import pytest

from gated.config import CueSettings, DoorSettings, GateSettings, Settings, SiteSettings, Wires
from gated.door.hardware import Wiring
from gated.door.outputs import Outputs
from gated.door.pins import pin_factory, traced_factory
from gated.errors import LatchError, StateError


def with_door(**door):
    return Settings(SiteSettings("courtyard-2"), GateSettings("front"), door=DoorSettings(**door))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("active_high", [True, False])
def test_the_trace_says_energised_whatever_the_polarity(tmp_path, active_high):
    settings = with_door(pins="mock", trace=str(tmp_path / "trace"), lock_active_high=active_high)
    wiring = Wiring(settings.door, pin_factory(settings), lambda: None)
    wiring.release(True)
    wiring.release(False)
    wiring.release(True)
    wiring.close()
    told = lines(tmp_path / "trace")
    assert [line["on"] for line in told] == [False, True, False, True, False]
    assert {line["line"] for line in told} == {"lock"}
    assert [line["t"] for line in told] == sorted(line["t"] for line in told)


def test_the_coil_of_a_magnet_has_power_while_it_is_secured_and_the_trace_tells_the_coil(tmp_path):
    settings = with_door(pins="mock", trace=str(tmp_path / "trace"), lock="maglock", fail="safe")
    wiring = Wiring(settings.door, pin_factory(settings), lambda: None)
    wiring.release(True)
    wiring.release(False)
    wiring.close()
    assert [line["on"] for line in lines(tmp_path / "trace")] == [True, False, True, False]


async def test_every_output_has_a_line_of_its_own_in_the_trace(tmp_path):
    settings = Settings(
        SiteSettings("courtyard-2"),
        GateSettings("front"),
        door=DoorSettings(pins="mock", trace=str(tmp_path / "trace")),
        second_door=Wires(lock_pin=11),
        cues=CueSettings(fault_pin=26, buzzer_pin=18),
    )
    factory = pin_factory(settings)
    for wires in (settings.door, settings.second_door):
        Wiring(wires, factory, lambda: None).close()
    outputs = Outputs(settings.cues, factory)
    outputs.play("buzzer", (1.0,))
    outputs.close()
    told = {(line["line"], line["on"]) for line in lines(tmp_path / "trace")}
    assert told >= {("lock", False), ("second.lock", False), ("fault", True), ("buzzer", True), ("buzzer", False)}


def test_a_trace_goes_on_where_it_ended(tmp_path):
    (tmp_path / "trace").write_text('{"t": 1.0, "line": "lock", "on": true}\n')
    settings = with_door(pins="mock", trace=str(tmp_path / "trace"))
    Wiring(settings.door, pin_factory(settings), lambda: None).close()
    assert [line["on"] for line in lines(tmp_path / "trace")] == [True, False, False]


def test_a_trace_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(StateError, match="trace"):
        traced_factory({17: ("lock", True)}, str(tmp_path))


def test_a_machine_without_gpio_says_what_to_do():
    with pytest.raises(LatchError, match='pins = "mock"'):
        pin_factory(with_door(pins="gpio"))


CHIP = """
    # The stand-in is at the border of lgpio's C library: a chip that remembers every level its line was driven to.
    import lgpio, json, sys
    import gpiozero.pins.local
    from gpiozero import DigitalOutputDevice
    gpiozero.pins.local.get_pi_revision = lambda: 0xC03111
    driven, out = [], set()

    def claim_output(handle, flags, gpio, level):
        out.add(gpio)
        driven.append(level)
        return 0

    def write(handle, gpio, level):
        driven.append(int(level))
        return 0

    for name, call in {
        "_gpiochip_open": lambda chip: 0,
        "_gpiochip_close": lambda handle: 0,
        "_gpio_claim_input": lambda handle, flags, gpio: out.discard(gpio) or 0,
        "_gpio_claim_output": claim_output,
        "_gpio_get_mode": lambda handle, gpio: 2 if gpio in out else 0,
        "_gpio_read": lambda handle, gpio: driven[-1] if driven else 0,
        "_gpio_write": write,
    }.items():
        assert hasattr(lgpio._lgpio, name), name
        setattr(lgpio._lgpio, name, call)
"""


def driven_levels(tmp_path, factory):
    """Every level that an active-low relay's line is driven to, from claiming it off to energising it."""
    code = textwrap.dedent(CHIP) + textwrap.dedent(f"""
    {factory}
    relay = DigitalOutputDevice(17, active_high=False, initial_value=False, pin_factory=factory)
    relay.on()
    print(json.dumps(driven))
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_gpiozeros_own_pin_drives_an_active_low_relay_for_an_instant(tmp_path):
    """The fault that our pin mends; when this fails gpiozero has mended it, and our pin can go."""
    assert driven_levels(tmp_path, "from gpiozero.pins.lgpio import LGPIOFactory; factory = LGPIOFactory()") == [
        0,
        1,
        0,
    ]


def test_our_pin_never_drives_an_active_low_relay_before_it_is_asked_to(tmp_path):
    assert driven_levels(tmp_path, "from gated.door.pins import steady_factory; factory = steady_factory()") == [1, 0]
