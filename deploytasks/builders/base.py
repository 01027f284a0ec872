"""Find the image that FROM names in its registry, for the right platform, and take over its layers one by one."""

import json
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from deploytasks.builders import recipe, registry
from deploytasks.builders.recipe import Base
from deploytasks.builders.registry import Manifest, Reference, Repository
from deploytasks.builders.request import BuildLog, Login
from deploytasks.builders.tree import Tree
from deploytasks.errors import BuildFailed, Refusal
from deploytasks.model import Platform
from deploytasks.model.builders import BUILD_WHOLE, ENGINE

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_USE_DOCKER = f"take another base, or {BUILD_WHOLE}"


class BaseImage(Struct, frozen=True):
    """A base image in its registry: `reference` is None for scratch, `layers` are descriptors, lowest first."""

    reference: Reference | None
    media_type: str
    config: Mapping[str, Any]
    layers: tuple[Mapping[str, Any], ...] = ()


def read_base(given: Base, platform: Platform, login: Login | None, log: BuildLog) -> BaseImage:
    """Return the base for the platform, with its layers yet unread.

    Raises: Refusal if it is not made for the platform or needs an engine, BuildFailed if it can't be read.
    """
    if given.image == recipe.SCRATCH:
        return BaseImage(None, OCI_MANIFEST, _scratch(platform))
    reference = Reference.parse(given.image, given.where)
    with registry.opened(reference, login, log.build) as repository:
        manifest = _for_platform(repository, given, platform)
        config = _config(repository, manifest)
    if not platform.accepts(_platform(config)):
        raise _wrong_platform(given, platform, [_platform(config)])
    if (config.get("config") or {}).get("OnBuild"):
        raise Refusal.of(given.where, f"{given.image} has ONBUILD instructions, which need {ENGINE}", _USE_DOCKER)
    return BaseImage(reference, manifest.media_type, config, tuple(manifest.said["layers"]))


def take_over(base: BaseImage, target: Repository, login: Login | None, log: BuildLog) -> Tree:
    """Put the base's layers into the target's repository, and return the tree of what they contain."""
    tree = Tree()
    if base.reference is None:
        return tree
    with (
        registry.opened(base.reference, login, log.build) as source,
        tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch,
    ):
        for descriptor in base.layers:
            blob = Path(scratch, "layer")
            log.build(f"reading base layer {descriptor['digest'][:19]} ({descriptor['size'] / 1e6:.1f} MB)")
            _read(source, descriptor, blob, tree)
            _hand_over(descriptor["digest"], blob, source, target, log)
    return tree


def _read(source: Repository, descriptor: Mapping[str, Any], blob: Path, tree: Tree) -> None:
    with blob.open("w+b") as file:
        source.read(descriptor["digest"], file)
        file.flush()  # a full disk is reported here, as such
        try:
            tree.add_layer(file)
        except (tarfile.TarError, OSError) as error:
            what = f"its layer {descriptor['digest'][:19]} ({descriptor['mediaType']}) is not a gzipped tar"
            raise Refusal.of(str(source.reference), what, _USE_DOCKER) from error


def _hand_over(digest: str, blob: Path, source: Repository, target: Repository, log: BuildLog) -> None:
    """Put the blob into the target's repository unless it is there: mounted if the registry can, else pushed."""
    same_registry = source.reference.host == target.reference.host
    if target.has(digest):
        log.push(f"base layer {digest[:19]} is there already")
    elif same_registry and target.mount(digest, source.reference.repository):
        log.push(f"base layer {digest[:19]} taken over from {source.reference.repository}")
    else:
        target.write(blob)
        log.push(f"base layer {digest[:19]} pushed")


def _for_platform(repository: Repository, given: Base, platform: Platform) -> Manifest:
    """Return the manifest itself, or the one in an index that is for the platform."""
    manifest = repository.manifest(repository.reference.wanted)
    if manifest.media_type in _INDEXES:
        offered = [(_platform(each.get("platform", {})), each["digest"]) for each in manifest.said["manifests"]]
        fitting = [each for each in offered if platform.accepts(each[0])]
        if not fitting:
            raise _wrong_platform(given, platform, [each for each, _ in offered])
        _, nearest = max(fitting, key=lambda each: each[0].level)  # the first of several that are equally near
        manifest = repository.manifest(nearest)
    if manifest.media_type not in (OCI_MANIFEST, DOCKER_MANIFEST):
        raise Refusal.of(given.where, f"{given.image} is a {manifest.media_type}, and no image", _USE_DOCKER)
    return manifest


def _platform(named: Mapping[str, Any]) -> Platform:
    return Platform(named.get("os", ""), named.get("architecture", ""), named.get("variant", ""))


def _wrong_platform(given: Base, wanted: Platform, offered: Iterable[Platform]) -> Refusal:
    listed = ", ".join(sorted(str(each) for each in offered if each.os != "unknown"))
    advice = "take a base that is, or set the image's `platforms`"
    return Refusal.of(given.where, f"{given.image} is not made for {wanted}, but for {listed}", advice)


def _config(repository: Repository, manifest: Manifest) -> dict[str, Any]:
    digest = manifest.said["config"]["digest"]
    with tempfile.TemporaryFile() as file:
        repository.read(digest, file)
        try:
            config: dict[str, Any] = json.load(file)
        except ValueError as error:
            raise BuildFailed.of(str(repository.reference), f"its configuration {digest} is not JSON") from error
    return config


def labels_of(image: str, login: Login) -> Mapping[str, str]:
    """Return the labels of an image in a registry; of an index, its first image's.

    Raises: BuildFailed if it can't be read.
    """
    with registry.opened(Reference.parse(image, image), login) as repository:
        manifest = repository.manifest(repository.reference.wanted)
        if manifest.media_type in _INDEXES:
            manifest = repository.manifest(manifest.said["manifests"][0]["digest"])
        return (_config(repository, manifest).get("config") or {}).get("Labels") or {}


def _scratch(platform: Platform) -> dict[str, Any]:
    variant = {"variant": platform.variant} if platform.variant else {}
    about = {"architecture": platform.architecture, "os": platform.os, **variant}
    return {**about, "config": dict(recipe.SCRATCH_CONFIG), "rootfs": {"type": "layers", "diff_ids": []}, "history": []}
