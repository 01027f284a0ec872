"""A real OCI registry of this process: blobs, manifests and tags over HTTP on a free loopback port, kept in memory.

It checks digests, mounts blobs across repositories, asks for a password or guards its tags where it is told to, and
notes every request; a fault hook may answer in its place, and `cut` may reset the connection.
"""

import base64
import hashlib
import io
import json
import re
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Fault = Callable[[str, str], tuple[int, bytes] | None]
Cut = Callable[[str, str], str]
"""When the request's connection is reset: "before" anything is done, "after" all is done, or "" for never."""
_BLOB = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>sha256:[0-9a-f]{64})")
_UPLOAD = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<id>[0-9a-f-]*)")
_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<wanted>[^/]+)")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Registry:
    """What is in the registry, by repository, and how it behaves; `fault(method, path)` may give another answer."""

    host: str = ""
    password: tuple[str, str] | None = None
    immutable: bool = False
    mounts: bool = True
    fault: Fault = lambda method, path: None
    cut: Cut = lambda method, path: ""
    blobs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    manifests: dict[str, dict[str, tuple[str, bytes]]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def manifest(self, name: str, wanted: str) -> dict[str, Any]:
        """The manifest that a tag or digest names, read."""
        return json.loads(self.manifests[name][self.tags[name].get(wanted, wanted)][1])

    def config(self, name: str, wanted: str) -> dict[str, Any]:
        """The configuration of an image, read."""
        return json.loads(self.blobs[name][self.manifest(name, wanted)["config"]["digest"]])

    def put_blob(self, name: str, content: bytes) -> str:
        self.blobs.setdefault(name, {})[digest_of(content)] = content
        return digest_of(content)

    def put_manifest(self, name: str, tag: str, media_type: str, content: bytes) -> str:
        digest = digest_of(content)
        self.manifests.setdefault(name, {})[digest] = (media_type, content)
        if not tag.startswith("sha256:"):
            self.tags.setdefault(name, {})[tag] = digest
        return digest

    def missing(self, name: str, content: bytes) -> list[str]:
        """The digests that a manifest names and the repository does not have."""
        said = json.loads(content)
        blobs = [said["config"], *said["layers"]] if "config" in said else []
        there = self.blobs.get(name, {})
        return [each["digest"] for each in blobs if each["digest"] not in there]

    def taken(self, name: str, tag: str, content: bytes) -> bool:
        present = self.tags.get(name, {}).get(tag)
        return self.immutable and present is not None and present != digest_of(content)


class Handler(BaseHTTPRequestHandler):
    """The registry protocol, as far as builders and engines speak it."""

    protocol_version = "HTTP/1.1"
    registry: Registry

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the registry notes its requests itself."""

    def handle_one_request(self) -> None:
        self.body: bytes | None = None
        super().handle_one_request()

    def read_body(self) -> bytes:
        """What was sent, whole or in chunks; read once."""
        if self.body is None:
            chunked = self.headers.get("Transfer-Encoding") == "chunked"
            length = int(self.headers.get("Content-Length") or 0)
            self.body = b"".join(self.chunks()) if chunked else self.rfile.read(length)
        return self.body

    def chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().strip(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.read_body()
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(content)), **named}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str, message: str = "", **headers: str) -> None:
        said = json.dumps({"errors": [{"code": code, "message": message or code.lower()}]}).encode()
        self.send(status, said, Content_Type="application/json", **headers)

    def allowed(self) -> bool:
        if self.registry.password is None:
            return True
        wanted = base64.b64encode(":".join(self.registry.password).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def answer(self) -> None:
        self.registry.requests.append((self.command, self.path))
        moment = self.registry.cut(self.command, self.path)
        if moment:
            self.wfile = io.BytesIO()
        if moment != "before":
            self.act()
        if moment:
            self.reset()

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def act(self) -> None:
        path, registry = urlsplit(self.path).path, self.registry
        if fault := registry.fault(self.command, self.path):
            self.send(fault[0], fault[1], Content_Type="application/json")
        elif not self.allowed():
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="test"')
        elif path == "/v2/":
            self.send(200, b"{}", Content_Type="application/json")
        elif match := _UPLOAD.fullmatch(path):
            self.upload(match["name"], match["id"])
        elif match := _BLOB.fullmatch(path):
            self.blob(match["name"], match["digest"])
        elif match := _MANIFEST.fullmatch(path):
            self.manifest(match["name"], match["wanted"])
        else:
            self.refuse(404, "NOT_FOUND")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer

    def blob(self, name: str, digest: str) -> None:
        content = self.registry.blobs.get(name, {}).get(digest)
        if content is None:
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        else:
            self.send(200, content, Docker_Content_Digest=digest, Content_Type="application/octet-stream")

    def upload(self, name: str, upload: str) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        match self.command:
            case "POST":
                self.start_upload(name, query)
            case "PATCH":
                self.registry.uploads[upload].extend(self.read_body())
                self.accept(name, upload)
            case _:
                self.finish_upload(name, upload, query["digest"])

    def start_upload(self, name: str, query: dict[str, str]) -> None:
        source = self.registry.blobs.get(query.get("from", ""), {})
        if self.registry.mounts and query.get("mount") in source:
            digest = self.registry.put_blob(name, source[query["mount"]])
            self.send(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)
            return
        upload = str(uuid.uuid4())
        self.registry.uploads[upload] = bytearray()
        self.accept(name, upload)

    def accept(self, name: str, upload: str) -> None:
        last = max(len(self.registry.uploads[upload]) - 1, 0)
        place = f"http://{self.registry.host}/v2/{name}/blobs/uploads/{upload}"
        self.send(202, Location=place, Range=f"0-{last}", Docker_Upload_UUID=upload)

    def finish_upload(self, name: str, upload: str, digest: str) -> None:
        content = bytes(self.registry.uploads.pop(upload)) + self.read_body()
        if digest_of(content) != digest:
            self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        with self.registry.lock:
            self.registry.put_blob(name, content)
        self.send(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)

    def manifest(self, name: str, wanted: str) -> None:
        if self.command == "PUT":
            self.take_manifest(name, wanted)
            return
        digest = self.registry.tags.get(name, {}).get(wanted, wanted)
        media_type, content = self.registry.manifests.get(name, {}).get(digest, ("", b""))
        if not content:
            self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            self.send(200, content, Content_Type=media_type, Docker_Content_Digest=digest)

    def take_manifest(self, name: str, tag: str) -> None:
        content, registry = self.read_body(), self.registry
        with registry.lock:
            if missing := registry.missing(name, content):
                self.refuse(400, "MANIFEST_BLOB_UNKNOWN", f"unknown blobs {missing}")
            elif registry.taken(name, tag, content):
                why = f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten"
                self.refuse(400, "TAG_INVALID", f"{why} because the tag is immutable.")
            else:
                digest = registry.put_manifest(name, tag, self.headers["Content-Type"], content)
                self.send(201, Location=f"/v2/{name}/manifests/{digest}", Docker_Content_Digest=digest)


@contextmanager
def serving(**behaviour: Any) -> Iterator[Registry]:
    """A registry that serves on `registry.host` until the block ends."""
    registry = Registry(**behaviour)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"registry": registry}))
    registry.host = f"localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with server:
            yield registry
            server.shutdown()
    finally:
        server.shutdown()
        thread.join()
