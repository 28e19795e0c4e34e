"""Galleries of random people, without real faces: people of regions, whose embeddings share a direction."""

import numpy as np

from gated.gallery.stranger_scores import Gathered

PARTS = (40, 60)
"""Dimensions of two parts. Few dimensions give scores with a wide spread, as real faces have."""


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def faces(people, seed=0, *, shared=0.0):
    """Return people x dimension: unit vectors in two parts of equal weight. `shared`: share of a common direction."""
    random = np.random.default_rng(seed)
    parts = [
        unit(unit(random.standard_normal((people, size))) + shared * unit(random.standard_normal(size)))
        for size in PARTS
    ]
    return (np.hstack(parts) / np.sqrt(2)).astype(np.float32)


def pictures(vectors, each=2, noise=0.5, seed=1):
    """Return `each` pictures of every person: people x each x dimension."""
    random = np.random.default_rng(seed)
    moved = vectors[:, None, :] + noise * unit(random.standard_normal((len(vectors), each, vectors.shape[1])))
    return unit(moved).astype(np.float32)


def gathered(templates, households=None, prior_people=None):
    """Return the gallery of people x pictures x dimension. Two people live in each household unless given."""
    people, each, dimension = templates.shape
    return Gathered(
        templates.reshape(people * each, dimension),
        tuple(slice(i * each, (i + 1) * each) for i in range(people)),
        tuple(households or [str(i // 2) for i in range(people)]),
        prior_people,
    )
