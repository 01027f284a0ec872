"""Read and write an image registry, and retry what it resets or is too busy for: pushing twice does no harm."""

import base64
import hashlib
import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import requests
from dxf import DXF, DXFBase
from dxf.exceptions import DXFError, DXFMountFailed, DXFUnauthorizedError
from msgspec import Struct
from urllib3.exceptions import ProtocolError

from deploytasks.builders.request import Login
from deploytasks.errors import BuildFailed, Refusal

PAUSES_S = (1.0, 3.0, 9.0)
"""The pauses between the attempts, of which there is one more."""
_BUSY = frozenset({429, 500, 502, 503, 504})
_PASSING_WORDS = re.compile(
    r"reset by peer|\bEOF\b|broken pipe|timeout|toomanyrequests|HTTP status: (429|50\d)", re.IGNORECASE
)
Answer = TypeVar("Answer")


def again(work: Callable[[], Answer], passes: Callable[[BuildFailed], bool], tell: Callable[[str], None]) -> Answer:
    """Return the work's result, retrying as long as the error may be temporary.

    Raises:
        BuildFailed: the last one.
    """
    for pause_s in PAUSES_S:
        try:
            return work()
        except BuildFailed as error:
            if not passes(error):
                raise
            tell(f"{error.complaints[0].what}; tried again in {pause_s:g} s")
            time.sleep(pause_s)
    return work()


def is_reset(error: BuildFailed) -> bool:
    """Return whether the registry cut the connection, or is busy; one that was never reached is neither."""
    match error.__cause__:
        case requests.HTTPError(response=requests.Response() as response):
            return response.status_code in _BUSY
        case requests.exceptions.ChunkedEncodingError():
            return True
        case requests.ConnectionError(args=(ProtocolError(), *_)):
            return True
        case _:
            return False


def sounds_passing(error: BuildFailed) -> bool:
    """Return whether an engine's message about a failed push names a reset connection or a busy registry."""
    return bool(_PASSING_WORDS.search(error.complaints[0].what))


HUB = "docker.io"
_HUB_NAMES = (HUB, "index.docker.io", "registry-1.docker.io")
_NAME = re.compile(
    r"((?P<host>([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?)/)?(?P<path>[a-z0-9][a-z0-9._/-]*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_OUTAGE_S = 120
_PIECE_BYTES = 1 << 20


class Reference(Struct, frozen=True):
    """An image's full name: `docker.io` `library/python` `3.12-slim`; a digest wins over a tag."""

    host: str
    repository: str
    tag: str = "latest"
    digest: str = ""

    @classmethod
    def parse(cls, text: str, where: str) -> "Reference":
        """Return the name in full; a short one is Docker Hub's. Raises: Refusal naming `where` it was given."""
        match = _NAME.fullmatch(text)
        if match is None:
            raise Refusal.of(
                where, f"{text!r} is not an image name", "for example registry.example.com/python:3.12-slim"
            )
        host, repository = match["host"] or "", match["path"]
        if not (re.search(r"[.:]", host) or host == "localhost"):
            host, repository = HUB, f"{host}/{repository}" if host else repository
        if host in _HUB_NAMES:
            host, repository = HUB, repository if "/" in repository else f"library/{repository}"
        return cls(host, repository, match["tag"] or "latest", match["digest"] or "")

    @property
    def wanted(self) -> str:
        """The tag or digest to ask the registry for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}" + (f"@{self.digest}" if self.digest else f":{self.tag}")


class Manifest(Struct, frozen=True):
    """A manifest's exact bytes, with their media type."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """The digest that names it."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def said(self) -> dict[str, Any]:
        """The manifest as a table."""
        said: dict[str, Any] = json.loads(self.content)
        return said


class Repository:
    """Read and write one repository; every method raises BuildFailed in plain words if the registry refuses.

    An interrupted transfer is retried, and reported through `tell`.
    """

    def __init__(self, client: DXF, reference: Reference, tell: Callable[[str], None]) -> None:
        self._client, self._tell = client, tell
        self.reference = reference

    def manifest(self, wanted: str) -> Manifest:
        """Return the manifest that a tag or digest names, checked against the digest."""
        manifest = self._ask(f"read the manifest {wanted}", lambda: self._read_manifest(wanted))
        if wanted.startswith("sha256:") and manifest.digest != wanted:
            raise BuildFailed.of(str(self.reference), f"the registry sent {manifest.digest} for {wanted}", "try again")
        return manifest

    def has(self, digest: str) -> bool:
        """Return whether the blob exists."""
        return self._ask(f"look for {digest}", lambda: self._is_there(digest))

    def read(self, digest: str, into: IO[bytes]) -> None:
        """Read the blob into the file, check it against its digest, and rewind the file."""
        self._ask(f"read {digest}", lambda: self._pull(digest, into))
        into.seek(0)

    def mount(self, digest: str, source: str) -> bool:
        """Return whether the registry could mount the blob from its repository `source`."""
        return self._ask(f"mount {digest}", lambda: self._take_over(digest, source))

    def write(self, path: Path) -> str:
        """Push the file as a blob, and return its digest."""
        return self._ask(f"push the {path.name}", lambda: self._client.push_blob(str(path)))

    def put(self, manifest: Manifest) -> str:
        """Put the manifest under the reference's tag, ask the registry whether it is there, and return its digest.

        If a tag that can't be put twice names the manifest since an attempt whose answer was lost, that is a success.
        """
        tag, said = self.reference.tag, manifest.content.decode("ascii")
        try:
            self._ask(f"push the manifest {tag}", lambda: self._client.set_manifest(tag, said))
        except BuildFailed:
            if not self._names(manifest):
                raise
            return manifest.digest
        found = self.manifest(tag).digest
        if found != manifest.digest:
            what = f"pushed {manifest.digest}, but the registry answers {found}"
            raise BuildFailed.of(str(self.reference), what, "another build is pushing the same tag: try again")
        return found

    def _names(self, manifest: Manifest) -> bool:
        try:
            return self.manifest(self.reference.tag).digest == manifest.digest
        except BuildFailed:
            return False

    def _read_manifest(self, wanted: str) -> Manifest:
        _, response = self._client.get_manifest_and_response(wanted)
        media_type = json.loads(response.content).get("mediaType") or response.headers["Content-Type"]
        return Manifest(media_type, response.content)

    def _is_there(self, digest: str) -> bool:
        try:
            self._client.blob_size(digest)
        except requests.HTTPError as error:
            if error.response.status_code != requests.codes.not_found:
                raise
            return False
        return True

    def _pull(self, digest: str, into: IO[bytes]) -> None:
        into.seek(0)
        into.truncate()
        into.writelines(cast(Iterable[bytes], self._client.pull_blob(digest, chunk_size=_PIECE_BYTES)))

    def _take_over(self, digest: str, source: str) -> bool:
        with suppress(DXFMountFailed):
            self._client.mount_blob(source, digest)
            return True
        return False

    def _ask(self, doing: str, work: Callable[[], Answer]) -> Answer:
        def plainly() -> Answer:
            with self._plainly(doing):
                return work()

        return again(plainly, is_reset, self._tell)

    @contextmanager
    def _plainly(self, doing: str) -> Iterator[None]:
        where = f"{self.reference.host}/{self.reference.repository}"
        try:
            yield
        except DXFUnauthorizedError as error:
            advice = "log in, or ask for access: the registry does not say which of the two it misses"
            raise BuildFailed.of(where, f"not allowed to {doing}", advice) from error
        except requests.HTTPError as error:
            raise BuildFailed.of(where, f"could not {doing}: {_reason(error)}", _advice(error)) from error
        except requests.RequestException as error:
            what = f"the registry does not answer ({type(error).__name__})"
            raise BuildFailed.of(where, what, "check the name, and that it can be reached from here") from error
        except DXFError as error:
            raise BuildFailed.of(where, f"could not {doing}: {error}", "try again") from error
        except (ValueError, KeyError) as error:
            what = f"could not {doing}: its answer is none of a registry's ({error!r})"
            raise BuildFailed.of(where, what, "check that the name is a registry's") from error


@contextmanager
def opened(
    reference: Reference, login: Login | None, tell: Callable[[str], None] = lambda message: None
) -> Iterator[Repository]:
    """Yield the reference's repository, and close its connections afterwards; use the login for its own host only."""
    host = "registry-1.docker.io" if reference.host == HUB else reference.host
    ours = login if login and login.host == reference.host else None
    plain = is_loopback(host)
    answer = _answer(ours, plain=plain)
    with _Client(host, reference.repository, auth=answer, insecure=plain, timeout=_OUTAGE_S) as client:
        yield Repository(client, reference, tell)


def is_loopback(host: str) -> bool:
    """Return whether the registry is on this machine, and therefore asked without TLS, as Docker does."""
    name = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class _Client(DXF):
    """A client that also logs in by password on this machine, without TLS, which the library would insist on."""

    def basic(self, login: Login) -> None:
        """Send the password with every request."""
        credentials = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"}


def _answer(login: Login | None, *, plain: bool) -> Callable[[DXFBase, requests.Response], None]:
    """Return the callback that authenticates to a registry.

    Without a login, it fetches an anonymous reader's token.
    """

    def authenticate(client: DXFBase, response: requests.Response) -> None:
        if login is not None and isinstance(client, _Client) and plain:
            client.basic(login)
        elif login is not None:
            client.authenticate(login.username, login.password, response=response)
        elif not plain:
            client.authenticate(response=response)

    return authenticate


def _reason(error: requests.HTTPError) -> str:
    """Return the registry's own message, or the status if it has none."""
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        first = error.response.json()["errors"][0]
        return str(first.get("message") or first["code"])
    return f"HTTP {error.response.status_code}"


def _advice(error: requests.HTTPError) -> str:
    status = error.response.status_code
    if status == requests.codes.not_found:
        return "check the name; a missing repository is made by `inv envs.bootstrap`"
    return "try again" if status >= requests.codes.server_error else "see what the registry says"
