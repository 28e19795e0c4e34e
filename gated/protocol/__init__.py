"""The wire between a gate and its office, shared by both ends: topics, messages, signatures, seals and connections.

`gated.sync` is the gate's end, `gated.office` the office's. `README.md` in this folder specifies the protocol.
"""
