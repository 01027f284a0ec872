"""The images that the registry holds of one image of envs/, by digest and by tag."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from deploytasks.model import EcrImage


class ImageIndex(Struct, frozen=True):
    """A repository's images by digest (a child of an OCI index maps to the index) and by tag.

    `known` is False if the registry could not be read.
    """

    known: bool = False
    by_digest: Mapping[str, EcrImage] = field(default_factory=dict)
    by_tag: Mapping[str, EcrImage] = field(default_factory=dict)

    def whole(self, digest: str) -> str:
        """Return the digest of the OCI index that the digest is a child of, else the digest itself."""
        return self.by_digest[digest].digest if digest in self.by_digest else digest


def index_images(images: Iterable[EcrImage]) -> ImageIndex:
    """Return an index of these images."""
    listed = tuple(images)
    own = {image.digest: image for image in listed}
    children = {child: image for image in listed for child in image.children}
    return ImageIndex(True, own | children, {tag: image for image in listed for tag in image.tags})
