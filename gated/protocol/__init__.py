"""The wire between a gate and its office, shared by both ends: topics, messages, signatures, seals and connections.

`gated.sync` is the gate's end, `gated.office` the office's. `README.md` in this folder specifies the protocol.

Public: broker, certificate, certificate_lifetime, command_messages, confirmation, envelope, event_messages,
face_messages, flood, jose, key_messages, lag, limits, message_kinds, mqtt, pairing_code, record_keys, record_messages,
recovery_key, sealed_files, status_messages, topics, vouching, wire_records, wire_types.
"""
