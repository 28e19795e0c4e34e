"""Who is enrolled: people, their sealed templates, the search, and how one joins and leaves.

The brain opens a `Gallery` and searches; commands that only list, suspend or remove open a `Register`, which needs no
model. `people` and `templates` are the two databases, `vault` the keys, `search` the arithmetic.
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
