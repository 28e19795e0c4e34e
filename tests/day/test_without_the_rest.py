"""All optional parts are missing at the start, and the gate works without them. Parts that come back are used again."""

import socket
from contextlib import closing

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .test_broken_disk import ANN, STRANGER, street

__all__ = ["street"]

pytestmark = pytest.mark.slow

ALL = ["metrics", "passes", "prompts", "reader /dev/input/none", "screen", "sound", "sync", "vision"]


def test_an_optional_part_that_fails_is_logged_once_and_tried_again(street):
    gate, keys = street.gate, street.gate.folder / "keys"
    keys.mkdir()
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [server.getsockname()[1] for server in taken]
    gate.write(
        models={"set": "there-is-none"},
        readers={"pass_key": str(keys / "site.pem"), "devices": ["/dev/input/none"]},
        cues={"screen_port": ports[0], "sound": "alsa", "sound_device": "there-is-none"},
        health={"metrics_port": ports[1]},
        sync={
            "url": "mqtts://localhost:1",
            **{key: str(keys / key) for key in ("ca", "cert", "key", "gate_keys", "office_keys")},
        },
    )
    street.start()
    gate.wait_for(lambda: street.lost() == ALL, 40)
    assert (street.opens(ANN), street.opens(STRANGER)) == (True, False)
    assert street.leaves()
    for part in ALL:
        assert gate.log().count(f"{part} is lost") == 1, part
    public = Ed25519PrivateKey.generate().public_key()
    (keys / "site.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for server in taken:
        server.close()
    gate.wait_for(lambda: not {"metrics", "passes", "screen"} & set(gate.events("degraded")[-1]["lost"]), 60, 0.3)
    with closing(socket.create_connection(("127.0.0.1", ports[0]), 5)):
        pass
    for part in ("metrics", "passes", "screen"):
        assert f"{part} is back" in gate.log()
    assert gate.json("status", check=1)["lost"] == gate.events("degraded")[-1]["lost"]
    street.close()
    gate.run("events", "verify", check=0)
