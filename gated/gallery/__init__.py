"""The gallery: enrolled people, the face search, enrolment, removal, and the office's records applied to them.

The brain opens a `Gallery` and searches it. Commands that only list, suspend or remove people open a `Register`, which
needs no model.
"""
