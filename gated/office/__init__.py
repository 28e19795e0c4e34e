"""The community office: the other end of the MQTT protocol.

Shares only topics, messages and keys with the gate.
"""
