"""gated: the software in the gate of a residential courtyard. The map, in reading order:

app         the brain, wired: every part built, started and stopped on one page
vision      the vision process, wired
cli         the commands
provision   from a machine with gated on it to a gate on duty
update      another version beside the one that runs: tried, and kept or taken back
orders      what the office orders, carried out
evaluation  how often the gate is wrong: rates with n and bounds, over visits, folders, pairs
simulator   a courtyard without hardware: rendered residents, and what stands in for the parts of a gate
office      a small community server, the other end of the wire: people, orders, events of a whole site
access      may this person pass now: policy, visits, photos
door        what the lock does and where the leaf is; the latch that owns the pins
face        from a frame to an observation, in a process of its own
gallery     who is enrolled, with sealed templates, and the search
camera      frames, newest first
cues        what the gate tells people, in light, sound, touch and on a screen
journal     what happened, chained, on disk
sync        the server: people down, the journal up, orders; signed and sealed, over a network that comes and goes
health      what systemd, the log and the server are told
runtime     tasks, worker processes, channels and locks
database    SQLite that keeps what it acknowledged and loses what was erased
config      the settings
events      the facts that cross chapters
errors      what can go wrong, by name
frame       a picture on its way through the gate
embedding   the vector that stands for a face, checked
types       names for plain values
"""

import os

# One thread for numpy: on a busy machine a second one makes a search of 0.1 ms take 8.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
