"""Where a face lies in the picture, and whether PAD sees enough of its surroundings.

Pure functions over boxes in px. The pipeline uses them for `too_near`, the access chapter for its hint to step back.
"""

MOST_SHARE = 0.53
"""The largest share of the picture's width or height that a face may fill, so that PAD sees its surroundings.

MiniFASNet crops 2.7 and 4 times the face's extent, and less where the picture ends. Measured with a real print, in
pictures of four shapes, turned and off centre: without this bound the print scored as bona fide in 10 of 100 views at
1.1 of the picture's height, and in 46 to 58 of 100 at 1.3 to 1.5. With the bound, none of 1,440 views at 0.25 to 1.5
passed. Above 0.53 MiniFASNet of a site abstains (`least_scale`, `models/README.md`), and the remaining net is weak. At
0.54 to 0.59 it rejected 7 of 34 bona fide views. At 0.42 to 0.50 none of 36 was rejected. An adult's face of 20 cm has
this share at 0.5 m from a camera that sees 41 degrees. If no net votes, the pipeline reports `too_near` as well.
"""

Box = tuple[float, float, float, float]


def is_cut_off(box: Box, frame_size: tuple[int, ...]) -> bool:
    """Return whether a box (x, y, width, height) leaves the picture (width, height), in px. True for what is no box."""
    x, y, width, height = box
    is_inside = x >= 0 and y >= 0 and x + width <= frame_size[0] and y + height <= frame_size[1]
    return not (width > 0 and height > 0 and is_inside)


def is_too_near(box: Box, frame_size: tuple[int, ...]) -> bool:
    """Return whether PAD sees too little around the face: the face fills the picture, or leaves it. True for NaN."""
    return not fill(box, frame_size) <= 1 or is_cut_off(box, frame_size)


def fill(box: Box, frame_size: tuple[int, ...]) -> float:
    """Return the face's share of the picture's width or height, divided by `MOST_SHARE`. Above 1 is too near."""
    return max(box[2] / frame_size[0], box[3] / frame_size[1]) / MOST_SHARE
