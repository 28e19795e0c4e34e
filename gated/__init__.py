"""gated: the software in the gate of a residential courtyard. The map, from the top layer down:

app            the start of the brain: lock, settings, workers, then the brain itself
brain_run      the run of the brain: starts every part, and stops the parts in reverse order
brain          the brain, wired: its parts and the messages between them
vision         the vision process, wired
cli            the commands
provision      sets a machine up as a gate, and a machine as an office
update         installs another version beside the running one, tries it, and keeps it or takes it back
sandbox        the rights that vision gives up before it reads a picture
office_wiring  the gate's link to its office, wired
vision_wiring  vision and the gate's model set, wired to the entrance and the cues
commands       carries out the commands of the office
evaluation     error rates with n and bounds, from visits, folders or pairs of pictures
simulator      a courtyard without hardware: rendered people before a camera, and a network with an office
office         the community office, the other end of the wire: people, commands and events of a whole site
doctor         checks of a gate for its installer, with the next step, and the handover page
service        the gate as a service: systemd, logs, the time of day, metrics, working parts
sync           the gate's end of the link: records down, journal up, commands
protocol       the wire, shared by both ends: topics, messages, signatures, seals, connections
access         decides whether a person may pass now: faces, credentials, schedules, readers
door           the latch: locks, contacts, exit, fire; and the brain's client of the latch
face           from a frame to an observation, in a process of its own
gallery        the enrolled faces and the search, enrolment, and the office's records applied
camera         frames of a Pi camera or a recording, newest first
cues           what the gate tells people, by light, sound, touch and screen
journal        every event, in order, in a hash chain on disk
people         persons, consents, credentials, access rules, preferences and sealed templates, on disk
storage        databases, locks, file owners, and encryption with the site key
runtime        tasks, worker processes, channels and their confinement
config         the settings
atomic_files   writes small files whole or not at all, on disk at return
bounded        reads, copies and downloads of foreign data, each with a limit on the size
events         the facts that the journal keeps
errors         every error by name
frame          a camera frame and its pixels
embedding      the checked vector of a face
composite      one vector with a part by each embedder of a set, and its centring
names          one normal form for each name in an access rule
pin            allowed PINs, random PINs, and the expected time to guess one
sitetime       times and days in the site's time zone
threshold_table  thresholds of a model set by the number of people
types          names for plain values
wording        explains the error in a value, in plain words
printable      makes foreign text safe for terminals, logs and pages
"""

import os

# One thread for numpy: on a busy machine a second one makes a search of 0.1 ms take 8.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
