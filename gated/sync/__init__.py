"""The server: what the gate tells it, over a network that comes and goes."""
