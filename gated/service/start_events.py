"""Makes the first facts of a starting brain: the start, its settings, and repaired databases."""

import hashlib
from collections.abc import Iterable

import msgspec

from gated.config import Settings
from gated.config.settings_trial import BrainStart
from gated.events import ConfigChanged, DatabaseReplaced, Event, SettingsTried, Started
from gated.gallery.repair import RepairedDatabase
from gated.journal.entry import Entry
from gated.service.version import own_version


def first_facts(
    settings: Settings, start: BrainStart, past: list[Entry], repaired: Iterable[RepairedDatabase]
) -> list[Event]:
    """Return the facts in order. `past`: the newest rows of the journal, oldest first."""
    digest = hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()
    last = next((event for entry in reversed(past) if isinstance(event := entry.event, Started)), None)
    facts: list[Event] = [Started(own_version(), digest)]
    if last is not None and last.settings_sha256 != digest:
        facts.append(ConfigChanged(last.settings_sha256, digest))
    facts += [DatabaseReplaced(each.file, each.kept_as, list(each.torn), list(each.anew)) for each in repaired]
    if start.dropped:
        facts.append(SettingsTried("rolled_back", start.dropped))
    return facts
