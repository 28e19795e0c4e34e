"""The step that pairs the gate with its office."""

from dataclasses import dataclass
from typing import ClassVar

from gated.config.reading import read
from gated.doctor.finding import amber
from gated.errors import ConfigError, GatedError, ProvisionError
from gated.protocol.pairing_code import PairingCode
from gated.provision.install_step import DONE, StepCheck
from gated.provision.installer_answers import UNNAMED
from gated.provision.step_state import Making, attempted
from gated.storage.named_files import reading
from gated.storage.owner import acting_as
from gated.sync.pairing import Pairing
from gated.sync.pairing import pair as join
from gated.sync.pairing_client import prove_code
from gated.sync.settings_file import write_table


@dataclass(frozen=True)
class Office:
    """The step that pairs with the office's code. It creates keys and certificates and writes the [sync] table."""

    making: Making
    title: ClassVar[str] = "office"

    def is_done(self) -> bool:
        """Return whether the gate is paired, and its settings match the pairing."""
        done = Pairing.find(self.making.state)
        stored = read(self.making.config).get("sync", {})
        return done is not None and done.settings().items() <= stored.items()

    def do(self) -> str:
        """Pair with the office. Raises `PairingError`, `ProvisionError`."""
        making = self.making
        code = self._code()
        with acting_as(making.owner):
            pairing, _ = join(code, making.state, making.answers.site)
        with reading(making.config):
            write_table(making.config, pairing)
        return "; ".join(filter(None, (f"joined, by {pairing.url}", pairing.accepting)))

    def check(self) -> StepCheck:
        """Check that the code is complete and names this gate, and that the office answers and
        still accepts the code.
        """
        try:
            if self.making.config.exists() and self.is_done():
                return StepCheck(DONE)
        except (GatedError, PermissionError):
            pass  # an earlier step reports this problem
        wrong = attempted(self._code)
        return StepCheck("would be joined", wrong or attempted(self._ask))

    def _code(self) -> PairingCode:
        """Return the parsed code of this gate. Raises `PairingError`, `ConfigError` and `ProvisionError`."""
        answers = self.making.answers
        if answers.code.strip().lower() == "what the office showed":
            raise ConfigError("code", [
                "still has the text of the example; write the code of `gated office invite`, or omit the "
                    "code and run `gated pair` later"
            ])  # fmt: skip
        code = PairingCode.parse(answers.code)
        if answers.gate not in (code.gate, UNNAMED):
            raise ProvisionError(
                f"the code is for {code.gate}, and this gate is {answers.gate}; ask the office for a code for this gate"
            )
        return code

    def _ask(self) -> None:
        answers = self.making.answers
        if answers.site != UNNAMED and not prove_code(self._code(), answers.site):
            summary = "this office has an older version and does not report whether the code is still valid"
            self.making.report(amber("office", summary, "check that the code has not expired and was not used"))
