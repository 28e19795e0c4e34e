from importlib.metadata import version

from gated.service.version import own_version


def test_the_version_of_the_gate_is_that_of_the_installed_package():
    assert own_version.__wrapped__() == version("gated")


def test_a_package_without_a_metadata_folder_still_has_its_version(monkeypatch):
    monkeypatch.setattr("gated.service.version.START", "gated_of_nobody-")
    assert own_version.__wrapped__() == version("gated")
