"""Stands in for PiDNG, which pip can only build with a compiler; picamera2 uses it to save raw pictures alone."""
