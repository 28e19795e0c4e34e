"""A stand-in for the kernel's dma-buf heap, made of memfds. picamera2's own allocator runs on it unchanged."""

import os

import picamera2.allocators.dmaallocator
import picamera2.dma_heap as heap


class Fcntl:
    """The three ioctls of dma-heap.h and dma-buf.h that picamera2 makes."""

    def ioctl(self, fd, request, argument):
        if request == heap.DMA_HEAP_IOCTL_ALLOC:
            argument.fd = os.memfd_create("dma-buf", os.MFD_CLOEXEC)
            os.ftruncate(argument.fd, argument.len)
        elif request not in (heap.DMA_BUF_SET_NAME, heap.DMA_BUF_IOCTL_SYNC):
            raise OSError(25, "Inappropriate ioctl for device")
        return 0


def install():
    heap.heapNames = ["/dev/zero"]
    heap.fcntl = picamera2.allocators.dmaallocator.fcntl = Fcntl()
