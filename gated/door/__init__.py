"""The latch process: it owns every GPIO line, drives the locks, and watches the leaves of the doors.

Public: claim_trial, door_state, gpio_lines, latch, latch_client, latch_messages, latch_observer, latch_server,
pin_source, power, wiring_sheet.
"""
