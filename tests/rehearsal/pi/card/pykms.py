"""Stands in for python3-kms++, which Debian does not have. picamera2 imports it for a preview that nobody opens."""


class PixelFormat:
    def __getattr__(self, name):
        return name


PixelFormat = PixelFormat()
