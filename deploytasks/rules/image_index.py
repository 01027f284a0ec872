"""What the registry holds of a service, found by digest or by tag. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deploytasks.model import Image


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """What the registry holds for a service, by digest (an index's children are the index) and by tag.

    `name` is what image names begin with. Nothing is `known` where the registry could not be read.
    """

    name: str
    known: bool = False
    by_digest: Mapping[str, Image] = field(default_factory=dict)
    by_tag: Mapping[str, Image] = field(default_factory=dict)

    def whole(self, digest: str) -> str:
        """The digest of the image that it is of: a child's is its index's, another's its own."""
        return self.by_digest[digest].digest if digest in self.by_digest else digest


def index_images(name: str, images: Iterable[Image]) -> ImageIndex:
    """The stock of these images."""
    listed = tuple(images)
    own = {image.digest: image for image in listed}
    children = {child: image for image in listed for child in image.children}
    return ImageIndex(name, True, own | children, {tag: image for image in listed for tag in image.tags})
