"""Whether another gate's keys are what somebody at a gate has seen: their fingerprint, and signatures of trusted gates.

The office says which keys a gate has. A thief with the office's key can say any; so faces go only to keys that a person
accepted here, or that a gate which is trusted here has signed. Whoever is gone signs for nobody any more.
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec

from gated.errors import WireError
from gated.gallery.trust import Neighbour
from gated.sync.jose import Identity, Party
from gated.sync.messages import Vouch
from gated.wording import UNDECODABLE

KIND = "vouch"
GROUP, SHOWN = 4, 32
"""A fingerprint is told in groups of so many hex digits, and has so many: 128 bits."""


def fingerprint(site: str, gate: str, keys: str | Party) -> str:
    """What two people compare on two screens: "1f3a 88c0 ...", of the gate's name and both of its keys.

    Empty for keys that are none.
    """
    party = parsed(keys) if isinstance(keys, str) else keys
    if party is None:
        return ""
    digest = sha256("\n".join((site, gate, party.kid, party.seal_kid)).encode()).hexdigest()[:SHOWN]
    return " ".join(digest[at : at + GROUP] for at in range(0, SHOWN, GROUP))


def is_same_print(typed: str, shown: str) -> bool:
    """Whether a person has typed that fingerprint, with or without the blanks."""
    return bool(shown) and "".join(typed.split()).lower() == "".join(shown.split())


def vouch(me: Identity, site: str, by: str, gate: str, keys: Party) -> str:
    """Our signature for another gate's keys; the same each time."""
    said = Vouch(site, by, gate, keys.kid, keys.seal_kid)
    return me.sign(KIND, msgspec.json.encode(said)).decode()


def signer_of(tokens: Iterable[str], site: str, gate: str, keys: Party, trusted: Mapping[str, Party]) -> str | None:
    """Which of the trusted gates has signed these keys; None where none has."""
    for token in tokens:
        for name, party in trusted.items():
            if name != gate and is_vouch(token, Vouch(site, name, gate, keys.kid, keys.seal_kid), party):
                return name
    return None


def is_vouch(token: str, said: Vouch, by: Party) -> bool:
    """Whether it is that gate's word for exactly this."""
    try:
        return msgspec.json.decode(by.verify(token.encode(), KIND), type=Vouch) == said
    except (WireError, ValueError, *UNDECODABLE):
        return False


def signers(tokens: Iterable[str]) -> list[str]:
    """Who says to have signed, of tokens that were checked when they came."""
    found = []
    for token in tokens:
        try:
            payload = token.split(".")[1]
            found.append(msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Vouch).by)
        except (IndexError, ValueError, *UNDECODABLE):
            continue
    return found


def newly_trusted(site: str, me: str, gates: Sequence[Neighbour], gone: Iterable[str]) -> list[tuple[Neighbour, str]]:
    """Gates that may be trusted because one that is trusted has signed their keys, each with that one; those that they
    signed in turn as well. Pure.
    """
    ended = {party.kid for keys in gone if (party := parsed(keys)) is not None}
    known = {each.gate: party for each in gates if (party := parsed(each.keys)) is not None and each.gate != me}
    trusted = {each.gate: known[each.gate] for each in gates if each.is_trusted and each.gate in known}
    trusted = {gate: party for gate, party in trusted.items() if party.kid not in ended}
    found: list[tuple[Neighbour, str]] = []
    while True:
        before = len(found)
        for each in gates:
            if each.gate in trusted or each.gate not in known or known[each.gate].kid in ended:
                continue
            by = signer_of(each.vouches, site, each.gate, known[each.gate], trusted)
            if by is not None:
                trusted[each.gate] = known[each.gate]
                found.append((each, by))
        if len(found) == before:
            return found


def parsed(keys: str) -> Party | None:
    """Public keys, or None where they are none."""
    try:
        return Party.parse(keys)
    except WireError:
        return None
