"""The people of a gate: persons, consents, credentials, access rules, preferences and sealed templates, in SQLite."""
