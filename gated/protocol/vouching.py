"""Decide whether another gate's keys are genuine: by their fingerprint, and by signatures of trusted gates.

The office says which keys a gate has. A thief with the office's key can name any keys. So faces go only to accepted
keys: accepted by a person here, or signed by a trusted gate. The signatures of a removed gate do not count. Used by
`face_departures`.
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256

import msgspec

from gated.errors import WireError
from gated.people.acceptances import Neighbour
from gated.protocol.face_messages import Vouch
from gated.protocol.jose import Identity, Party
from gated.wording import UNDECODABLE

KIND = "vouch"
"""Kind of the signature: `typ` is `gated.1.vouch`."""
CACHED_KEYS = 512
"""The most parsed texts in memory: both keys of every gate of a large site, and some that are gone."""
GROUP, SHOWN = 4, 32
"""Hex digits per group, and in all, of a displayed fingerprint: 128 bits."""


def fingerprint(site: str, gate: str, keys: str | Party) -> str:
    """Return the fingerprint for the comparison of two screens, such as "1f3a 88c0 ...".

    It covers the site, the gate's id and both of its keys. Empty for invalid keys.
    """
    party = parsed(keys) if isinstance(keys, str) else keys
    if party is None:
        return ""
    digest = sha256("\n".join((site, gate, party.kid, party.seal_kid)).encode()).hexdigest()[:SHOWN]
    return " ".join(digest[at : at + GROUP] for at in range(0, SHOWN, GROUP))


def is_same_print(typed: str, shown: str) -> bool:
    """Return whether the typed text is that fingerprint, with or without blanks."""
    return bool(shown) and "".join(typed.split()).lower() == "".join(shown.split())


def vouch(me: Identity, site: str, by: str, gate: str, keys: Party) -> str:
    """Return this gate's signature of another gate's keys. The same input gives the same signature."""
    vouch = Vouch(site, by, gate, keys.kid, keys.seal_kid)
    return me.sign(KIND, msgspec.json.encode(vouch)).decode()


def signer_of(tokens: Iterable[str], site: str, gate: str, keys: Party, trusted: Mapping[str, Party]) -> str | None:
    """Return which trusted gate has signed these keys; None if none has."""
    for token in tokens:
        for name, party in trusted.items():
            if name != gate and is_vouch(token, Vouch(site, name, gate, keys.kid, keys.seal_kid), party):
                return name
    return None


def is_vouch(token: str, vouch: Vouch, by: Party) -> bool:
    """Return whether the token is that gate's signature of exactly this statement."""
    try:
        return msgspec.json.decode(by.verify(token.encode(), KIND), type=Vouch) == vouch
    except (WireError, ValueError, *UNDECODABLE):
        return False


def signers(tokens: Iterable[str]) -> list[str]:
    """Return the names of the signers in tokens that were verified on arrival."""
    found = []
    for token in tokens:
        try:
            payload = token.split(".")[1]
            found.append(msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Vouch).by)
        except (IndexError, ValueError, *UNDECODABLE):
            continue
    return found


def newly_trusted(
    site: str, me: str, gates: Sequence[Neighbour], removed: Iterable[str]
) -> list[tuple[Neighbour, str]]:
    """Return the newly trusted gates, each with the trusted gate that signed its keys. Pure.

    Trust passes on: a gate that becomes trusted may be a signer too. `gone` holds the keys of removed gates and
    replaced keys. Their signatures do not count.
    """
    ended = {party.kid for keys in removed if (party := parsed(keys)) is not None}
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


@lru_cache(maxsize=CACHED_KEYS)
def parsed(keys: str) -> Party | None:
    """Return the public keys of this text, or None for an invalid text.

    A parse proves with a trial seal that the keys are usable. Results are cached: the same text always gives the same
    result.
    """
    try:
        return Party.parse(keys)
    except WireError:
        return None
