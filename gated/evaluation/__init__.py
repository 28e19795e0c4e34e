"""Measures error rates of the whole product and of its models, each with n and bounds.

Public: courtyard, enrolled, field, folders, measures, pairs, plots, report, visit_runs.
"""
