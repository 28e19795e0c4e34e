"""The errors of GPIO lines and chips, each with the reason and the next step. No other module makes them."""

from gated.errors import LatchError

BUSY = "GPIO busy"
"""lgpio's message for a line that another program or the kernel holds."""

GPIO_STEPS = {
    BUSY: "`gpioinfo` shows which program or device overlay holds it: stop that program, take that dtoverlay or "
    "dtparam out of config.txt, or choose another pin in the settings",
    "bad GPIO number": "this board has no such line; choose a BCM number of its header in the settings",
    "GPIO operation not permitted": "this user may not use it; join the group gpio, or use sudo",
    "no permission to perform action": "this user may not use it; join the group gpio, or use sudo",
}
OTHER_STEP = "check it with `gpioinfo` and check the pin in the settings; if both are right, restart the machine"
NO_CHIP_STEP = (
    'on a desk set [door] pins = "mock", on a Raspberry Pi install python3-lgpio and join the group gpio; '
    "`gpiodetect` lists the chips"
)


def line_trouble(pin: int, reason: str, *, holder: str = "", is_claimed: bool = False) -> LatchError:
    """Return the error of a line (BCM number): it cannot be claimed, or it failed after it was claimed.

    `holder` is the program that holds the line, by the kernel's name.
    """
    verb = "used" if is_claimed else "claimed"
    held = f', held by "{holder}"' if holder else ""
    return LatchError(f"pin {pin} cannot be {verb} ({reason}{held}); {GPIO_STEPS.get(reason, OTHER_STEP)}")


def chip_trouble(reason: str) -> LatchError:
    """Return the error of a machine without a usable GPIO chip."""
    return LatchError(f"this machine has no GPIO that can be used ({reason}); {NO_CHIP_STEP}")
