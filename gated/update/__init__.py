"""Another version of gated beside the one that runs, tried, and kept or taken back by itself.

On a gate, in a root that is root's alone (`/opt/gated`):

    releases/VERSION/venv      a version, whole: one that is being built has a file `unfinished` beside its venv
    releases/VERSION/wheels    what it was built from
    current -> releases/...    the version that runs; turned by one rename
    trial                      the version on trial, and how often it was started
    release.pub                the keys of which one must have signed a version (`gated.update.signature`)

The trial is on disk before `current` turns. The guard (`systemd/guard`, plain sh, before each start of the brain and of
the latch) counts the starts, and after three it turns `current` back; where the old version is current while a trial
stands, `gated update --step settle` of the old version ends the trial before the brain starts.

How each database goes back, only where the new version has changed its schema, and in one transaction each:

    journal.db      never to an earlier content: it is append-only, and the office holds what was sent
    people.db       keeps who was enrolled, removed, given rights or suspended meanwhile
    templates.db    keeps the templates and the keys; who was erased stays erased
    passes.db, commands.db   keep what was used and ordered: nothing that was good once is good again
    guesses.db      keeps how many PINs were wrong today
    snapshot.db     keeps what has arrived of the office's records

All of them by the way back that every migration leaves in the database (`gated.database`). What is lost is what the new
version alone could write: its own columns and tables. The copies that `gated.update.rehearsal` makes prove beforehand,
with this gate's own rows, that the way there and the way back can be gone; none is ever put in a database's place.
Files in the state folder are not changed by a start, and a version only ever adds to them.
"""
