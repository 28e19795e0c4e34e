"""The camera: frames, newest first."""
