"""A stand-in for PiDNG, which pip cannot build without a compiler. picamera2 uses it only to save raw pictures."""
