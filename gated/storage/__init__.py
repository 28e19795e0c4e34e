"""Data on disk: SQLite databases, small files, process locks, file owners, and encryption with the site key."""
