"""Measures error rates of the whole product and of its models, each with n and bounds.

Public: confidence, courtyard, enrolled, field, folders, groups, live, live_view, measures, pairs, plots, report,
stage_times, visit_runs.
"""
