"""A stand-in for python-prctl, which pip cannot build without a compiler. picamera2 uses it only for FFmpeg outputs."""
