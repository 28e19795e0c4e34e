"""When a command fails, the user reads each fault once. The exit code is that of the first fault."""

import pytest

from gated import cli
from gated.errors import ModelError, StateError


@pytest.fixture
def end(monkeypatch, capsys):
    """Return a function that runs a command that raises this error, and returns exit code and error output."""

    def of(error):
        def invoke(*_):
            raise error

        monkeypatch.setattr(cli.click.Group, "invoke", invoke)
        with pytest.raises(SystemExit) as ended:
            cli.main(["check"])
        return ended.value.code, capsys.readouterr().err

    return of


def test_a_fault_alone_or_in_a_group_gives_its_exit_code_and_no_traceback(end):
    fault = ModelError("no such set")
    for error in (fault, ExceptionGroup("a", [fault]), BaseExceptionGroup("a", [ExceptionGroup("b", [fault])])):
        assert end(error) == (3, "gated: no such set\n")


def test_the_same_fault_of_several_tasks_is_printed_once(end):
    group = ExceptionGroup("a", [StateError("full"), StateError("full"), ModelError("no such set")])
    assert end(group) == (StateError.exit_code, "gated: full\ngated: no such set\n")


def test_a_programming_error_in_the_same_group_is_not_hidden(monkeypatch):
    def invoke(*_):
        raise ExceptionGroup("a", [ModelError("no such set"), ZeroDivisionError()])

    monkeypatch.setattr(cli.click.Group, "invoke", invoke)
    with pytest.raises(ExceptionGroup) as raised:
        cli.main(["check"])
    assert raised.value.subgroup(ZeroDivisionError) is not None
