"""Measures error rates of the whole product and of its models, each with n and bounds.

Public: courtyard, enrolled, field, folders, groups, measures, pairs, plots, report, stage_times, visit_runs.
"""
