"""A small community server: the other end of the wire. It shares only topics, messages and keys with the gate."""
