"""The version of the running gated."""

from importlib.metadata import version

from gated.service.version import own_version


def test_the_version_is_that_of_the_installed_package_and_is_read_once():
    own_version.cache_clear()
    assert [own_version() for _ in range(3)] == 3 * [version("gated")]
    assert own_version.cache_info().misses == 1
