"""The community office: the other end of the MQTT protocol.

Shares only topics, messages and keys with the gate.

Public: alarm_meanings, alarm_store, authority, broker_link, command_store, disclosure, event_effects, exchange,
exposed_credentials, forms.form_facts, forms.paper, forms.shelf, gate_consents, gate_store, guess_budgets, invitations,
journal_store, key_lock, mosquitto, mqtt_client, office_creation, office_person, old_gates, pin_issuing, registrar,
rekey, renewals, retiring, running_processes, serve, store, stored_command.
"""
