"""A courtyard without hardware: rendered people, their glasses and attacks, before a camera; and a network.

The demo, the evaluation, the training of the models and `gated bench --sync` use it. Parts of a gate that fail on
purpose stand in `tests/fakes`.

Public: attack, camera, composition, desk, director, flood, identity, lane, likeness, load, morning, network,
picture_writer, render, view.
"""
