"""Writes `gated/protocol/asyncapi.json` from the code: the topics, the messages and every field, with their docstrings.

Run it after a change of a message: `.venv/bin/python tests/protocol/wire_document.py`.
"""

import ast
import inspect
import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]
from wire_schemas import schemas_of  # noqa: E402

import gated.protocol  # noqa: E402
from gated.protocol import (  # noqa: E402
    command_messages,
    event_messages,
    face_messages,
    key_messages,
    record_messages,
    status_messages,
    wire_records,
)
from gated.protocol.face_messages import FaceTemplates  # noqa: E402
from gated.protocol.jose import SEALING, SIGNING, type_of  # noqa: E402
from gated.protocol.limits import MAX_BYTES  # noqa: E402
from gated.protocol.message_kinds import DOWN, KINDS, ONCE_OPEN, OPEN, UP  # noqa: E402
from gated.protocol.status_messages import Status, StatusShell  # noqa: E402
from gated.protocol.topics import Topics  # noqa: E402
from gated.protocol.wire_types import Message  # noqa: E402

FILE = Path(gated.protocol.__file__).parent / "asyncapi.json"
TOPICS = Topics("{site}", "{gate}")
MODULES = (
    command_messages,
    event_messages,
    face_messages,
    key_messages,
    record_messages,
    status_messages,
    wire_records,
)

CARRIES = {
    "status": ("status",),
    "event": ("event",),
    "reply": ("reply", "ask", "progress", "held", "receipt", "shared", "vouching", "verifiers"),
    "request": ("request", "renew"),
    "ack": ("ack", "word", "certificate", "recovery"),
    "record": ("delta", "part"),
    "command": ("command", "offer", "wanted"),
}
"""Which messages each topic carries."""
ANSWERS = {
    "status": ("ack", ("word",)),
    "event": ("ack", ("ack",)),
    "request": ("record", ("delta", "part")),
    "command": ("reply", ("reply", "ask")),
}
"""Where, and with what, the other end answers."""

HEIRS = {"AnyPerson": ("PersonRecord",)}
"""The structs on the wire that have the fields of another."""

ABOUT = f"""\
The messages between a gate and its office. `README.md` in this folder has the rules. `examples.json` has every message
as bytes, with keys to open them.

A payload below is the JSON *inside* a message. On the wire every message is a compact JWS (RFC 7515; `alg` {SIGNING},
`kid` the RFC 7638 thumbprint of the signing key, `typ` as in `x-typ`). If `x-sealed` is true, the signed text is a
compact JWE (RFC 7516; `alg` {SEALING[0]} on X25519, `enc` {SEALING[1]}, `kid` of the reader's key) of that JSON, padded
with spaces. If there is an `x-shell`, the signed text is that shell, and the JWE is its `sealed`. If `x-once-open` is
true, an older end sends the message without encryption. No message is longer than {MAX_BYTES} bytes. Ignore unknown
fields, and refuse another `v`."""


def document() -> dict:
    """The whole AsyncAPI 3.0 document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "gated: a gate and its office",
            "version": "1.0.0",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/jose",
        "servers": {"broker": _broker()},
        "channels": {name: _channel(name) for name in CARRIES},
        "operations": {name: op for channel in CARRIES for name, op in _operations(channel)},
        "components": {
            "parameters": {
                "site": {"description": "The site's id: small letters, digits, - and _.", "examples": ["market-south"]},
                "gate": {"description": "The gate's id, and the CN of its certificate.", "examples": ["gate-2"]},
            },
            "securitySchemes": {
                "certificate": {"type": "X509", "description": "TLS 1.2+, certificates on both sides."}
            },
            "messages": {kind: _message(message, kind) for message, kind in KINDS.items()},
            "schemas": schemas(),
        },
    }


def _broker() -> dict:
    will = {
        "topic": TOPICS.status,
        "qos": 1,
        "retain": True,
        "message": "a signed status whose state is offline, the rest of it sealed",
    }
    return {
        "host": "{host}:8883",
        "protocol": "secure-mqtt",
        "protocolVersion": "3.1.1",
        "description": "Any broker: QoS 1, exact topics, clean sessions, one retained topic. It is not trusted.",
        "variables": {"host": {"description": "The broker's name, as in its certificate."}},
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
        "bindings": {"mqtt": {"cleanSession": True, "lastWill": will, "bindingVersion": "0.2.0"}},
    }


def _channel(name: str) -> dict:
    return {
        "address": getattr(TOPICS, name),
        "summary": inspect.getdoc(getattr(Topics, name)),
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in CARRIES[name]},
        "parameters": {each: {"$ref": f"#/components/parameters/{each}"} for each in ("site", "gate")},
    }


def _operations(channel: str) -> list[tuple[str, dict]]:
    is_up = getattr(TOPICS, channel) in TOPICS.up
    return [
        _operation("gate", "send" if is_up else "receive", channel),
        _operation("office", "receive" if is_up else "send", channel),
    ]


def _operation(end: str, action: str, channel: str) -> tuple[str, dict]:
    binding = {"qos": 1, "bindingVersion": "0.2.0"} | ({"retain": channel == "status"} if action == "send" else {})
    operation = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": _named(channel, CARRIES[channel]),
        "tags": [{"name": end}],
        "bindings": {"mqtt": binding},
    }
    if channel in ANSWERS:
        answer, kinds = ANSWERS[channel]
        operation["reply"] = {"channel": {"$ref": f"#/channels/{answer}"}, "messages": _named(answer, kinds)}
    return f"{end}_{action}s_{channel}", operation


def _named(channel: str, kinds: tuple[str, ...]) -> list[dict]:
    return [{"$ref": f"#/channels/{channel}/messages/{kind}"} for kind in kinds]


def _message(message: type[Message], kind: str) -> dict:
    shell = {"x-shell": {"$ref": f"#/components/schemas/{StatusShell.__name__}"}} if message is Status else {}
    return shell | {
        "name": kind,
        "title": message.__name__,
        "summary": inspect.getdoc(message).splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{message.__name__}"},
        "x-typ": type_of(kind),
        "x-sealed": kind not in OPEN,
        "x-once-open": kind in ONCE_OPEN,
    }


def schemas() -> dict:
    """The schema of every struct, and what the code says about each field."""
    found = schemas_of((*UP, *DOWN, FaceTemplates, StatusShell), "#/components/schemas/")
    for name, says in _field_docs().items():
        for field, doc in says.items():
            for heir in HEIRS.get(name, (name,)):
                found[heir]["properties"][field]["description"] = doc
    return found


def _field_docs() -> dict[str, dict[str, str]]:
    """What stands under each field in the source, by struct and field."""
    found: dict[str, dict[str, str]] = {}
    for struct in (each for module in MODULES for each in ast.parse(inspect.getsource(module)).body):
        if isinstance(struct, ast.ClassDef):
            for field, doc in zip(struct.body, struct.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
                    found.setdefault(struct.name, {})[_name_on_wire(field)] = inspect.cleandoc(doc.value.value)
    return found


def _name_on_wire(field: ast.AnnAssign) -> str:
    """Return the name of a field in JSON: its own, or the one in `field(name=...)`."""
    names = field.value.keywords if isinstance(field.value, ast.Call) else []
    return next((each.value.value for each in names if each.arg == "name"), field.target.id)


def text() -> str:
    """The file as it should be."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
