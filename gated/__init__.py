"""gated: the software in the gate of a residential courtyard. The map, in reading order:

app         the brain, wired: every part built, started and stopped on one page
vision      the vision process, wired
cli         the commands
provision   from a machine with gated on it to a gate on duty
update      another version beside the one that runs: tried, and kept or taken back
sandbox     what vision gives up before it reads a picture
following   the link to the office, wired
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
rescue      what can be read of a database that cannot be opened as it should be
soundness   the rows of a database whose values are what their columns want
database    SQLite that keeps what it acknowledged and loses what was erased
config      the settings
bounded     reads, copies and downloads that end: nothing foreign is taken in without a bound
events      the facts that cross chapters
errors      what can go wrong, by name
frame       a picture on its way through the gate
embedding   the vector that stands for a face, checked
names       one normal form for every name that rules are bound to
pin         which PINs will do, how one is made, how long a stranger must guess
sitetime    times and days as the site has them
types       names for plain values
wording     what is wrong with a value, in words for people
printable   text from elsewhere, shown as what it is: on terminals, in logs, on pages
"""

import os

# One thread for numpy: on a busy machine a second one makes a search of 0.1 ms take 8.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
