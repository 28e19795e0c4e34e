"""The check for busy lines asks the kernel and claims nothing. A stand-in answers with the kernel's structures."""

import errno
import fcntl

import pytest

from gated.config import parse
from gated.door import gpio_lines
from gated.errors import LatchError


class Kernel:
    """A folder in place of /dev with chips, and the ioctl answers of the GPIO character device (linux/gpio.h)."""

    def __init__(self, folder, **chips):
        self.chips, self.held, self.asked = chips, {}, []
        for name in chips:
            (folder / name).touch()
        self.folder = folder

    def ioctl(self, fd, request, data):
        name = next(name for name in self.chips if (self.folder / name).samefile(f"/proc/self/fd/{fd}"))
        self.asked.append(name)
        if request == gpio_lines.GET_CHIP_INFO:
            return name.encode().ljust(32, b"\0") + self.chips[name].encode().ljust(32, b"\0") + bytes([54, 0, 0, 0])
        assert request == gpio_lines.GET_LINE_INFO
        assert len(data) == 256  # sizeof(struct gpio_v2_line_info)
        offset = int.from_bytes(data[64:68], "little")
        if offset >= 54:
            raise OSError(errno.EINVAL, "Invalid argument")
        holder = self.held.get(offset)
        flags = (0 if holder is None else 1).to_bytes(8, "little")
        return bytes(32) + (holder or "").encode().ljust(32, b"\0") + data[64:72] + flags + data[80:]


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    def make(**chips):
        kernel = Kernel(tmp_path, **chips)
        monkeypatch.setattr(gpio_lines, "DEVICE_FOLDER", tmp_path)
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        return kernel

    return make


def gate(tmp_path, **door):
    tables = {"rex_pin": 23, "contact_pin": 22, **door}
    return parse({"site": {"id": "s"}, "gate": {"id": "g"}, "door": tables}, tmp_path)


def test_the_ioctl_numbers_are_those_of_the_kernels_header():
    assert (gpio_lines.CHIP_INFO.size, gpio_lines.LINE_INFO.size) == (68, 256)
    assert gpio_lines.GET_CHIP_INFO == 2 << 30 | 68 << 16 | 0xB4 << 8 | 1  # _IOR(0xB4, 0x01, ...)
    assert gpio_lines.GET_LINE_INFO == 3 << 30 | 256 << 16 | 0xB4 << 8 | 5  # _IOWR(0xB4, 0x05, ...)


@pytest.mark.parametrize("label", gpio_lines.CHIP_LABELS)
def test_free_lines_are_accepted_at_any_chip_number(kernel, tmp_path, label):
    made = kernel(gpiochip0="raspberrypi-exp-gpio", gpiochip13=label)
    assert gpio_lines.busy_lines(gate(tmp_path)) == {}
    assert "gpiochip13" in made.asked


def test_every_busy_line_is_named_with_its_key_and_its_holder(kernel, tmp_path):
    kernel(gpiochip0="pinctrl-bcm2711").held = {17: "relay-test", 23: ""}
    assert gpio_lines.busy_lines(gate(tmp_path)) == {
        "door.lock_pin": "pin 17 is in use by relay-test",
        "door.rex_pin": "pin 23 is in use by the kernel",
    }


def test_without_the_right_chip_the_error_names_the_chips_found(kernel, tmp_path):
    kernel(gpiochip0="some-board")
    with pytest.raises(LatchError, match=r'gpiochip0 is "some-board".*pins = "mock"'):
        gpio_lines.busy_lines(gate(tmp_path))


def test_the_error_names_a_missing_gpio_chip(kernel, tmp_path):
    kernel()
    with pytest.raises(LatchError, match="there is no /dev/gpiochip"):
        gpio_lines.busy_lines(gate(tmp_path))


def test_mock_pins_need_no_kernel_call(kernel, tmp_path):
    made = kernel(gpiochip0="pinctrl-bcm2711")
    assert gpio_lines.busy_lines(gate(tmp_path, pins="mock")) == {}
    assert made.asked == []
