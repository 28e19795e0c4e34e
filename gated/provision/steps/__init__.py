"""The steps that turn a machine into a gate, in order. Each step knows whether it is done, so a second run continues
where the first one stopped. Each step can be tried without changes, so one dry run finds all problems.

ground     the machine itself, the folders
configure  the settings
material   models, prompts, keys
releases   the key that verifies other versions
office     joining the office
hardware   camera, pins, the firmware's configuration
services   Debian's packages for screen and sound, the units, the start

Public: __init__.
"""

from collections.abc import Iterator

from gated.provision.install_step import InstallStep
from gated.provision.step_state import Making
from gated.provision.steps.configure import WriteSettings
from gated.provision.steps.ground import Folders, Machine
from gated.provision.steps.hardware import Firmware, Parts
from gated.provision.steps.material import Models, PromptFiles, StateKeys
from gated.provision.steps.office import Office
from gated.provision.steps.releases import ReleaseKey
from gated.provision.steps.services import GateStart, Packages, Services


def steps(making: Making) -> Iterator[InstallStep]:
    """Yield all steps, in order."""
    yield Machine(making)
    yield Folders(making)
    yield WriteSettings(making)
    yield Packages(making)
    yield Models(making)
    yield PromptFiles(making)
    yield StateKeys(making)
    if making.answers.release_key:
        yield ReleaseKey(making)
    if making.answers.code:
        yield Office(making)
    yield Parts(making)
    if making.config_txt is not None:
        yield Firmware(making)
    yield Services(making)
    if making.is_starting:
        yield GateStart(making)
