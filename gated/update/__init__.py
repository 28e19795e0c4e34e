"""Installs another version of gated beside the running one, tries it, and keeps it or takes it back.

Layout on a gate, in a folder that only root can write (`/opt/gated`):

    releases/VERSION/venv      one complete version; while it is being built, a file `unfinished` lies beside its venv
    releases/VERSION/wheels    the wheels it was built from
    current -> releases/...    the running version; one rename switches it
    trial                      the version on trial, and how often it was started
    release.pub                the release keys; one of them must have signed a version (`gated.update.signature`)

The trial is on disk before `current` is switched. The guard (`systemd/guard`, plain sh) runs before each start of the
brain and of the latch and counts these starts. After three starts it switches `current` back. If the old version is
current during a trial, its own `gated update --step settle` ends the trial before the brain starts.

Each database goes back in one transaction, and only if the new version changed its schema:

    journal.db      keeps all rows: it is append-only, and the office holds the rows that were sent
    people.db keeps every enrolment, removal, access rule and suspension
    templates.db    keeps the templates and the keys; an erased person stays erased
    passes.db, commands.db keep used passes and commands: neither becomes valid again
    guesses.db      keeps today's number of wrong PINs
    snapshot.db     keeps the records that arrived from the office

All of them use the reverse migration that every migration stores in the database (`gated.storage.database`). Columns
and tables of the new version alone are lost. Before the update, `gated.update.rehearsal` migrates copies of the
databases forward and back, with this gate's own rows. A copy never replaces a database. A start does not change files
in the state folder, and a version only adds to them.

Public: build, health, listing, locked_libraries, rehearsal, release, release_key, root_only, services, signature,
source, updater.
"""
