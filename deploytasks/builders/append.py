"""Build without an engine: the Dockerfile's files become one layer on its base, pushed straight to the registry.

Needs no root and nothing but this package. The base's layers never pass through an image store: each is read once, to
learn its directories and links, and is mounted by the registry itself if that has it already.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploytasks.builders import context, credentials, dockerfile, layer, recipe, registry
from deploytasks.builders.base import DOCKER_MANIFEST, OCI_MANIFEST, BaseImage, read_base, take_over
from deploytasks.builders.layer import Layer
from deploytasks.builders.recipe import Recipe
from deploytasks.builders.registry import Manifest, Reference, Repository
from deploytasks.builders.request import BuildLog, BuildRequest, Login
from deploytasks.builders.tree import Tree
from deploytasks.errors import Refusal
from deploytasks.model import Platform

_EPOCH = "1970-01-01T00:00:00Z"
_CREATED = "org.opencontainers.image.created"
_OF_THE_BASE_ALONE = ("container", "container_config", "docker_version", "id", "parent", "throwaway")
_MEDIA_TYPES = {
    OCI_MANIFEST: ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"),
    DOCKER_MANIFEST: (
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ),
}


def build_and_push(request: BuildRequest, login: Login | None, log: BuildLog) -> str:
    """Build the image, push it under the request's reference, and return the manifest's digest.

    Raises: Refusal if the Dockerfile needs an engine, BuildFailed if a file is missing or a registry refuses.
    """
    instructions = dockerfile.parse(_text(request), request.shown_dockerfile)
    given = recipe.base(instructions, request.platform)
    target = Reference.parse(request.ref, request.image)
    log.build(f"FROM {given.image}, appended to without an engine")
    reader = credentials.login_to(Reference.parse(given.image, given.where), request, login, log)
    base = read_base(given, request.platform, reader, log)
    todo = recipe.evaluate(instructions, given, base.config.get("config") or {})
    with (
        tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch,
        registry.opened(target, login, log.push) as repository,
    ):
        tree = take_over(base, repository, reader, log)
        added = _pack(request, todo, tree, Path(scratch, "layer"), log)
        config = Path(scratch, "config")
        config.write_bytes(_json(_config(base, request, todo, added)))
        return _push(base, config, added, repository, log)


def missing() -> None:
    """Return None: this package is all that the builder needs."""


def check(text: str, name: str, platform: Platform) -> None:
    """Raise Refusal with what the Dockerfile says and only an engine can build, as far as its text shows."""
    recipe.base(dockerfile.parse(text, name), platform)


def _text(request: BuildRequest) -> str:
    try:
        return request.dockerfile.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        advice = f"write one, or set images.{request.image}.dockerfile (it is relative to the context)"
        raise Refusal.of(request.shown_dockerfile, f"cannot be read: {error}", advice) from error


def _pack(request: BuildRequest, todo: Recipe, tree: Tree, path: Path, log: BuildLog) -> Layer | None:
    """Return the recipe's one layer, None if it adds no file."""
    seen = context.visible(request.context, request.dockerfile)
    entries = layer.entries(request.context, seen, todo.steps, tree)
    if not entries:
        return None
    packed = layer.pack(entries, path)
    log.build(f"packed {len(entries)} files and directories ({packed.size_bytes / 1e6:.1f} MB) as {packed.digest[:19]}")
    return packed


def _config(base: BaseImage, request: BuildRequest, todo: Recipe, added: Layer | None) -> dict[str, Any]:
    """Return the image's configuration: the base's with the recipe's changes, our labels, and one more line of history.

    A base without history is given none, since the history's length must match the layers'.
    """
    created = request.labels.get(_CREATED, _EPOCH)
    config = {**todo.config, "Labels": {**(todo.config.get("Labels") or {}), **request.labels}}
    kept = {key: value for key, value in base.config.items() if key not in _OF_THE_BASE_ALONE}
    diff_ids = [*kept["rootfs"]["diff_ids"], *([added.diff_id] if added else [])]
    line = {"created": created, "created_by": f"deploytasks: {request.shown_dockerfile}"}
    history = [*(kept.get("history") or ()), line if added else {**line, "empty_layer": True}]
    has_history = kept.get("history") or not base.layers
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    kept |= {"author": todo.author} if todo.author else {}
    kept |= {"created": created, "config": config, "rootfs": rootfs}
    return {**kept, "history": history if has_history else []}


def _push(base: BaseImage, config: Path, added: Layer | None, target: Repository, log: BuildLog) -> str:
    """Push the layer, the configuration and the manifest, in this order, and return the manifest's digest."""
    config_type, layer_type = _MEDIA_TYPES[base.media_type]
    layers = [*base.layers]
    if added:
        log.push(f"pushing layer {added.digest[:19]}")
        target.write(added.path)
        layers.append({"mediaType": layer_type, "digest": added.digest, "size": added.size_bytes})
    descriptor = {"mediaType": config_type, "digest": target.write(config), "size": config.stat().st_size}
    said = {"schemaVersion": 2, "mediaType": base.media_type, "config": descriptor, "layers": layers}
    digest = target.put(Manifest(base.media_type, _json(said)))
    log.push(f"pushed {target.reference} as {digest}")
    return digest


def _json(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")
