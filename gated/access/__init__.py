"""Access decisions: whether a person may pass this gate now. Used by the brain.

Public: access_rules, calls, entrance, face_calibration, face_policy, guess_store, lockdown, pad_evidence, pass_keys,
pass_ledger, passes, photo_face, photos, qr, readers.keystrokes, readers.learning, readers.observing,
readers.reader_set, readers.usb, responder, schedules, sighting, visits.
"""
