"""The door: what the lock does and what the leaf is doing."""
