"""The people of a gate: persons, consents, credentials, access rules, preferences and sealed templates, in SQLite.

Public: acceptances, access_rule, card_numbers, card_readings, credential, credential_store, damaged_rows, face_mark,
given_consents, held_records, issuing, keyring, lost_database, lost_rows, opening, pin_verifiers, plain_text,
preferences, schedule_values, schema, store, stored_time, template_store.
"""
