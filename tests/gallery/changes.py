"""Changes of a gallery as the commands make them in another process, followed by the gallery."""

from gated.gallery.gallery import Gallery
from gated.types import SubjectId


def suspend(gallery: Gallery, subject: SubjectId) -> None:
    gallery._register.suspend(subject)
    gallery._follow()


def resume(gallery: Gallery, subject: SubjectId) -> None:
    gallery._register.resume(subject)
    gallery._follow()


def remove(gallery: Gallery, subject: SubjectId) -> int:
    templates = gallery._register.remove(subject)
    gallery._follow()
    return templates
