"""A disk that forgets: what SQLite is on when the power goes, again and again.

SQLite (another build of it, through apsw, because only that lets a test be the file system) writes to files in memory;
a cut keeps what was synced, and of the rest whatever it likes, torn where it likes. Killing a process never shows this:
the kernel keeps the writes of the dead.
"""

import contextlib

import apsw

from gated.storage import sql
from gated.storage.migrations import BACK, statements

SECTOR = 512


class File:
    """A file as its users see it, as it is on the platter, and the writes between the two."""

    def __init__(self):
        self.seen, self.platter, self.unsynced = bytearray(), b"", []

    def apply(self, content, change):
        offset, data = change
        if data is None:
            return content[:offset]
        return content.ljust(offset, b"\0")[:offset] + data + content[offset + len(data) :]

    def change(self, offset, data):
        self.seen = bytearray(self.apply(bytes(self.seen), (offset, data)))
        self.unsynced.append((offset, data))

    def sync(self):
        self.platter, self.unsynced = bytes(self.seen), []

    def cut(self, dice):
        """What is left after the power went."""
        content, kept = self.platter, dice.random()
        for offset, data in self.unsynced:
            if dice.random() < kept:
                whole = data is None or dice.random() < 0.7
                part = data if whole else data[: dice.randrange(0, len(data) + SECTOR, SECTOR)]
                content = self.apply(content, (offset, part))
        return content


class ForgetfulDisk(apsw.VFS):
    """A file system in memory that the power can leave."""

    def __init__(self, dice):
        self.name, self.dice, self.files = f"forgetful{id(self)}", dice, {}
        self.connections, self.operations_left = [], None
        super().__init__(self.name, base="")

    def spend(self):
        """One operation nearer to the cut, after which nothing works."""
        if self.operations_left is not None:
            self.operations_left -= 1
            if self.operations_left < 0:
                raise apsw.IOError("the power is gone")

    def cut_power(self):
        self.operations_left = 0
        while self.connections:
            with contextlib.suppress(apsw.Error):
                self.connections.pop().apsw.close(force=True)  # the process is gone; it can write nothing any more
        left = {}
        for name in sorted(self.files | self.names_on_platter):
            there = [names[name] for names in (self.files, self.names_on_platter) if name in names]
            if len(there) == 2 or self.dice.random() < 0.5:  # a name made or unmade since then: as it happens
                file = left[name] = File()
                file.platter = there[-1].cut(self.dice)
                file.seen = bytearray(file.platter)
        self.files, self.names_on_platter, self.operations_left = left, dict(left), None

    def sync_names(self):
        self.names_on_platter = dict(self.files)

    def xOpen(self, name, flags):  # noqa: N802
        name = name.filename() if isinstance(name, apsw.URIFilename) else name
        is_new_log = name not in self.files and flags[0] & (apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL)
        return OpenFile(self, self.files.setdefault(name, File()), bool(is_new_log))

    def xDelete(self, name, sync_dir):  # noqa: N802
        self.spend()
        self.files.pop(name, None)
        if sync_dir:
            self.sync_names()

    def xAccess(self, name, flags):  # noqa: N802
        return name in self.files

    def xFullPathname(self, name):  # noqa: N802
        return name

    def xRandomness(self, count):  # noqa: N802
        return self.dice.randbytes(count)

    def xSleep(self, microseconds):  # noqa: N802
        return microseconds

    def xCurrentTime(self):  # noqa: N802
        return 2461367.5


class OpenFile:
    """What SQLite asks of a file; one connection, so locks are always free."""

    def __init__(self, disk, file, is_new_log):
        self.disk, self.file, self.is_new_log = disk, file, is_new_log

    def xRead(self, amount, offset):  # noqa: N802
        return bytes(self.file.seen[offset : offset + amount])

    def xWrite(self, data, offset):  # noqa: N802
        self.disk.spend()
        self.file.change(offset, bytes(data))

    def xTruncate(self, size):  # noqa: N802
        self.disk.spend()
        self.file.change(size, None)

    def xSync(self, flags):  # noqa: N802
        self.disk.spend()
        self.file.sync()
        if self.is_new_log:  # SQLite syncs the folder of a journal that it has made (os_unix.c, UNIXFILE_DIRSYNC)
            self.disk.sync_names()
            self.is_new_log = False

    def xFileSize(self):  # noqa: N802
        return len(self.file.seen)

    def xLock(self, level):  # noqa: N802
        pass

    def xUnlock(self, level):  # noqa: N802
        pass

    def xCheckReservedLock(self):  # noqa: N802
        return False

    def xClose(self):  # noqa: N802
        pass

    def xFileControl(self, op, pointer):  # noqa: N802
        return False

    def xSectorSize(self):  # noqa: N802
        return SECTOR

    def xDeviceCharacteristics(self):  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # as SQLite takes every disk to be


class Connection:
    """As much of `sqlite3.Connection` as the databases use, over apsw."""

    row_factory = text_factory = None

    def __init__(self, disk):
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self.apsw = apsw.Connection("a.db", flags=flags, vfs=disk.name)
        disk.connections.append(self)
        self.execute("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory: there is but one connection
        self.execute("PRAGMA wal_autocheckpoint = 8")  # so that a few rows go all the ways there are

    def execute(self, sql, values=()):
        cursor = self.apsw.execute(sql, values)
        if self.text_factory is bytes:
            cursor.row_trace = lambda _, row: tuple(v.encode() if isinstance(v, str) else v for v in row)
        return cursor

    def executescript(self, sql):
        self.apsw.execute(sql).fetchall()  # apsw runs as far as it is read

    def executemany(self, sql, rows):
        self.apsw.executemany(sql, rows).fetchall()

    @property
    def in_transaction(self):
        return self.apsw.in_transaction

    @property
    def total_changes(self):
        return self.apsw.total_changes()

    def close(self):
        self.apsw.close()


def migrate(connection, migrations):
    """The migrations without sqlite-utils, which wants a connection of Python's own; as one transaction, like there."""
    if connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        return
    with sql.transaction(connection):
        for script in migrations:
            for statement in statements(script.partition(BACK)[0]):
                connection.execute(statement)
