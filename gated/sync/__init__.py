"""The link between a gate and its office, over a network that may be down for weeks.

Owns the messages, their signatures and seals, the MQTT connection and the gate's half of every exchange. The door never
waits for this package. `README.md` in this folder specifies the protocol.
"""
