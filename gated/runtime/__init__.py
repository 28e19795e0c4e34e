"""Runs tasks and processes for the rest of the package.

Starts critical and optional tasks, worker processes and the message channel between them. Confines processes (Landlock,
seccomp). Holds no product logic.

Public: channel, child, confined_run, confinement, daemon_thread, file_locks, garbage, landlock, local_request,
rate_limit, seccomp, secrecy, starter, tasks.
"""
