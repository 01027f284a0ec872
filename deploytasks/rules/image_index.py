"""The images that the registry holds of a service, by digest and by tag."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from deploytasks.model import Image


class ImageIndex(Struct, frozen=True):
    """The images of a service, by digest (a child of an OCI index maps to the index) and by tag.

    `name` is `host/repository`. `known` is False if the registry could not be read.
    """

    name: str
    known: bool = False
    by_digest: Mapping[str, Image] = field(default_factory=dict)
    by_tag: Mapping[str, Image] = field(default_factory=dict)

    def whole(self, digest: str) -> str:
        """Return the digest of the OCI index that the digest is a child of, else the digest itself."""
        return self.by_digest[digest].digest if digest in self.by_digest else digest


def index_images(name: str, images: Iterable[Image]) -> ImageIndex:
    """Return an index of these images."""
    listed = tuple(images)
    own = {image.digest: image for image in listed}
    children = {child: image for image in listed for child in image.children}
    return ImageIndex(name, True, own | children, {tag: image for image in listed for tag in image.tags})
