"""Checks whether the gate is well, and tells systemd, the journal, the installer and the office."""
