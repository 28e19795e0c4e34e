"""A stand-in for the display library. picamera2 imports it for previews on a screen, which a gate does not use."""


class PixelFormat:
    RGB888 = BGR888 = XRGB8888 = XBGR8888 = YUV420 = YVU420 = NV12 = None
