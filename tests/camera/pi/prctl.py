"""Stands in for python-prctl, which pip can only build with a compiler; picamera2 uses it for FFmpeg outputs alone."""
