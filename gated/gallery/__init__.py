"""The gallery: enrolled people, their sealed templates, the face search, enrolment and removal.

The brain opens a `Gallery` and searches it. Commands that only list, suspend or remove people open a `Register`, which
needs no model. `people` and `templates` are the two databases, `vault` holds the keys, `search` does the arithmetic.
"""

from gated.gallery.bench import search_ratio
from gated.gallery.enrolment import Enrolled, enrol, enrol_known
from gated.gallery.gallery import Gallery
from gated.gallery.people import Consent, Person, Status
from gated.gallery.register import Register
from gated.gallery.search import Candidate

__all__ = [
    "Candidate",
    "Consent",
    "Enrolled",
    "Gallery",
    "Person",
    "Register",
    "Status",
    "enrol",
    "enrol_known",
    "search_ratio",
]
