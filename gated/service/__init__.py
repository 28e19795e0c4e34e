"""The gate as a service: systemd, log lines, the time of day, metrics, and the parts that work now.

Public: camera_colour, clock, clock_chip, clock_file, duty, logs, metrics, start_events, systemd_notify, timekeeper,
trial_watch, version.
"""
