"""From a frame to an observation (motion, detect, track, quality, align, PAD, embed), in the vision process."""
