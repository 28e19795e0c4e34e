"""The face: a frame becomes an observation (motion, detect, track, quality, align, pad, embed), in a process of its own."""
