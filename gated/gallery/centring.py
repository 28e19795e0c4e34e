"""The centring of a gallery: the mean over its people, blended with the mean of a general population. Pure.

`search.Index` computes it when the gallery changes. Search, enrolment and waiting faces use the same one.

The people of one gate resemble each other more than people at large do. Their own mean describes them, but a few people
do not give a reliable mean. So the gallery's mean counts n / (n + `PRIOR_PEOPLE`), with n people.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate, groupby

import numpy as np

from gated.composite import Centring, Composite, Matrix

PRIOR_PEOPLE = 10
"""The weight of the general population, in people. Chosen on press photographs (MobileFaceNet and Intel 0095, equal
weights, one template each; FNIR at FPIR 0.3 % for weights of 0, 10, 40 and infinity):

- 5 East Asian people among East Asian strangers: 4.3, 3.3, 3.2, 3.2 % (49,337 non-mated, 2,263 mated searches);
- 10 of them: 2.6, 2.3, 2.4, 3.0 % (22,441; 2,609); 72 of them: 3.3, 4.0, 4.9, 7.1 % (1,000; 3,200);
- 5 people of everybody: 1.0, 0.9, 1.0, 1.0 % (90,000; 1,804); 216 of them: 3.3, 3.3, 3.2, 3.1 % (3,600; 3,295).
"""


def gallery_centring(composite: Composite, matrix: Matrix, people: Sequence[slice]) -> Centring:
    """Return the centring for a gallery. `matrix`: the templates, not centred. `people`: the rows of each person.

    Every person counts the same, with any number of templates. Without people it is the centring on the general
    population. A composite without a mean gets the centring that changes nothing. Damaged rows become zero and do not
    count, so that one of them cannot make the mean invalid.
    """
    if composite.mean is None:
        return composite.centring
    is_good = composite.fitting(matrix)
    matrix[~is_good] = 0
    shares, n = np.zeros(len(matrix), np.float32), 0
    for rows in people:
        if (templates := int(is_good[rows].sum())) > 0:
            shares[rows], n = 1 / templates, n + 1
    own = shares @ matrix  # the sum over the people of the mean of their templates, each part scaled by its root
    for place, root in zip(composite.slices, composite.roots, strict=True):
        own[place] /= np.float32(root)
    blended = (own + PRIOR_PEOPLE * composite.mean) / np.float32(n + PRIOR_PEOPLE)
    return Centring(composite, blended.astype(np.float32))


def runs(keys: Iterable[Hashable]) -> list[slice]:
    """Return the places of each run of equal keys, in order."""
    sizes = [len(list(run)) for _, run in groupby(keys)]
    return [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
