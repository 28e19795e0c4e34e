"""Tests of how a gate reaches the broker: addresses, versions and dialling."""

import pytest

from gated.errors import ConfigError
from gated.protocol.broker import Dialect, address, tls_context


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("mqtts://a.b", "a.b", 8883), ("mqtts://10.0.0.1:1", "10.0.0.1", 1), ("mqtts://[::1]:8884", "::1", 8884)],
)
def test_an_address_may_omit_the_port(url, host, port):
    assert address(url) == (host, port)


@pytest.mark.parametrize(
    "url", ["mqtt://a", "https://a", "mqtts://", "mqtts://a:x", "mqtts://a:99999", "", "mqtts://[::1"]
)
def test_an_invalid_address_is_named_with_the_right_form(url):
    with pytest.raises(ConfigError, match=r"sync\.url: .*mqtts://HOST\[:PORT\]"):
        address(url)


def test_a_key_of_another_certificate_is_named(broker):
    with pytest.raises(ConfigError, match=r"sync\.key.*office\.key"):
        tls_context(broker.settings(key=f"{broker.folder}/office.key"))


def test_old_tls_versions_are_not_used(broker):
    assert tls_context(broker.settings()).minimum_version.name == "TLSv1_2"


def test_a_server_must_have_the_right_name_and_authority(broker):
    context = tls_context(broker.settings())
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_only_the_configured_mqtt_version_is_used():
    for version in ("3.1.1", "5"):
        dialect = Dialect(version)
        assert (dialect.version, dialect.failed(), dialect.version) == (version, False, version)


def test_without_a_setting_mqtt_5_is_tried_and_3_1_1_after_a_failure():
    dialect = Dialect("auto")
    assert dialect.version == "5"
    assert dialect.failed()
    assert dialect.version == "3.1.1"
    assert not dialect.failed()  # both versions failed, so the version is not the cause
    assert dialect.version == "5"


@pytest.mark.parametrize("failures", [0, 1])
def test_a_version_that_worked_is_kept_after_later_failures(failures):
    dialect = Dialect("auto")
    for _ in range(failures):
        dialect.failed()
    worked = dialect.version
    dialect.worked()
    assert not dialect.failed()
    assert dialect.version == worked
