"""The gate's end of the link to its office, over a network that may be down for weeks.

Owns the gate's half of every exchange: records down, journal up, commands. The door never waits for this package.

Public: command_desk, command_log, denied_subjects, handover, office_link, operator_dialog, pairing, pairing_client,
renewal, replica, sealed_faces, session, settings_file, snapshot, status_reports.
"""
