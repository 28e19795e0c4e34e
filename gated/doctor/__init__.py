"""Checks of a gate for its installer: findings, each with the next step, and the handover page.

Public: attack_rates, board, checks, diagnosis, examination, false_accepts, finding, guess_time, handover_page, keys,
measurements, status, trial_record, trials.
"""
