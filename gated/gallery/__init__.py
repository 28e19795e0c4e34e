"""The gallery: enrolled people, the face search, enrolment, removal, and the office's records applied to them.

The brain opens a `Gallery` and searches it. Commands that only list, suspend or remove people open a `Register`, which
needs no model.

Public: accepted, calibration, calibrator, centring, enrolment, gallery, holdings, other_sets, person_data,
record_changes, register, repair, sealed_templates, search, search_bench.
"""
