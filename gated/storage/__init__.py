"""Data on disk: SQLite databases, small files, process locks, file owners, and encryption with the site key.

Public: database, erasure, files, migrations, named_files, owner, process_lock, read_only, reopening, rescue, salvage,
sql, sqlite_errors, unchecked_copy, valid_rows, vault.
"""
