"""The face: from a frame to an observation (motion, detect, track, quality, align, pad, embed), in its own process."""
