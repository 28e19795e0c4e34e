"""Limits that both ends of the wire keep, and the sizes of a message.

The gate (`sync`) and the office (`office`) import the limits from here: each limit exists once.
"""

MAX_BYTES = 100 * 1024
"""Largest message on the wire, in bytes. It is below the smallest limit of the supported brokers (AWS IoT Core,
128 KB).
"""
MAX_PACKET_BYTES = 110_000
"""Largest MQTT packet, in bytes: the longest message with its topic and properties."""
MAX_PLAIN_BYTES = 56_000
"""Largest JSON of a message, in bytes. Sealed and signed it grows by 16/9 (twice base64), and by about 400 bytes of
headers.
"""
MAX_EVENTS = 500
"""Most events in one message."""
MAX_RECORDS = 500
"""Most records in one message."""
MAX_PARTS = 10_000
"""Most parts of a snapshot or of a quarantine list."""
MAX_TEMPLATES = 20
"""Most templates of one face."""
MAX_ACCEPTED = 100
"""Most subjects in one command `accept`."""
MAX_VOUCHES = 16
"""Most signatures of other gates in one gate record."""
MAX_READINGS = 24
"""Most readings of one card."""
KEY_BYTES, SALT_BYTES, DIGEST_BYTES, READING_BYTES = 32, 16, 32, 16
"""Lengths of a key, a salt, a digest, and the digest of one card reading, in bytes."""

COMMAND_WINDOW = 64
"""A gate refuses a command whose number is this far or more below the highest. Messages may overtake each other."""

PARTS_WINDOW = 16
"""Most parts of a snapshot in one request."""
