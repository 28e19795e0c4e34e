"""The journal: every event of this gate, in order, in a hash chain that shows any later change.

Public: chain, entry, journal, journal_file, recent_rows, writer.
"""
