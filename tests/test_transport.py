"""The connections to AWS: TLS with the CA bundle that the environment names, and proxies."""

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploytasks.aws import transport
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.model import Access, Author

IDENTITY = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""
ACCESS = Access(account="111111111111", region="us-east-1")
Serve = Callable[..., str]


class Sts(BaseHTTPRequestHandler):
    """Answers each request as STS does, also as a proxy; notes how it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, str | None]]
    barrier: threading.Barrier | None = None

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, self.headers["Host"], self.headers["Proxy-Authorization"]))
        if self.barrier:
            self.barrier.wait()
        self.send_response(200)
        self.send_header("Content-Length", str(len(IDENTITY)))
        self.end_headers()
        self.wfile.write(IDENTITY)

    def do_CONNECT(self) -> None:
        self.asked.append((self.path, self.headers["Host"], self.headers["Proxy-Authorization"]))
        self.send_error(403)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def sts() -> type[Sts]:
    return type("OneSts", (Sts,), {"asked": []})


@pytest.fixture
def serve(sts: type[Sts], monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts an STS, with a certificate if one is given, and returns its port."""
    servers = []

    def start(certificate: Path | None = None) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), sts)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return str(server.server_address[1])

    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a certificate for a host that is its own CA; the file holds its key, too."""

    def make(host: str) -> Path:
        key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (tmp_path / host).write_bytes(
            made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        )
        return tmp_path / host

    return make


def account() -> str:
    return Clients(Author("x")).account(ACCESS)


def test_the_ca_bundle_of_the_environment_is_believed_and_read_once_for_many_connections(
    serve: Serve, sts: type[Sts], certificate: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
):
    bundle, read = certificate("localhost"), list[object]()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{serve(bundle)}")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    load = ssl.SSLContext.load_verify_locations
    monkeypatch.setattr(
        ssl.SSLContext, "load_verify_locations", lambda self, *given: read.append(given) or load(self, *given)
    )
    clients, sts.barrier = Clients(Author("x")), threading.Barrier(4, timeout=30)
    regions = ("us-east-1", "us-east-2", "us-west-1", "us-west-2")
    with ThreadPoolExecutor(4) as pool:  # all are answered once four connections are open
        accesses = [Access("111111111111", region) for region in regions]
        found = list(pool.map(lambda access: clients.of("sts", access).get_caller_identity()["Account"], accesses))
    assert (found, len(read)) == (["111111111111"] * 4, 1)


@pytest.mark.parametrize("host", ["localhost", "other.example"], ids=["nobody vouches for", "is another host's"])
def test_a_certificate_is_refused_that(
    serve: Serve, certificate: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, host: str
):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{serve(certificate(host))}")
    if host != "localhost":
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate(host).parent / host))
    with pytest.raises(AwsError, match="SSL validation failed for https://localhost"):
        account()


def test_a_ca_bundle_that_cannot_be_read_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{serve()}")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(AwsError, match=r"SSL validation failed for https://localhost.* CA bundle /no/such/bundle\.pem"):
        account()


def test_a_plain_endpoint_is_reached_through_the_proxy_with_its_password(
    serve: Serve, sts: type[Sts], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{serve()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://sts.example")
    assert account() == "111111111111"
    assert sts.asked == [("http://sts.example/", "sts.example", "Basic bWU6c2VjcmV0")]


def test_an_endpoint_that_needs_no_proxy_is_reached_without(
    serve: Serve, sts: type[Sts], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{serve()}")
    assert account() == "111111111111"
    assert [path for path, *_ in sts.asked] == ["/"]


def test_a_proxy_that_opens_no_tunnel_is_named_without_its_password(
    serve: Serve, sts: type[Sts], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    port = serve()
    monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://sts.example")
    with pytest.raises(AwsError, match=rf"Failed to connect to proxy URL: .http://\*\*\*:\*\*\*@127.0.0.1:{port}"):
        account()
    assert (sts.asked[0][0], sts.asked[0][2]) == ("sts.example:443", "Basic bWU6c2VjcmV0")


class Wire:
    """A socket that sends to nobody, or fails with `gone`, and answers `said` after so many `pauses`."""

    def __init__(self, said: bytes = b"HTTP", pauses: int = 0, gone: type[OSError] | None = None) -> None:
        self.said, self.pauses, self.gone = said, pauses, gone
        self.sent = list[bytes]()
        self.timeouts = list[float]()

    def gettimeout(self) -> float:
        return 4.0

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)

    def sendall(self, data: bytes) -> None:
        if self.gone:
            raise self.gone
        self.sent.append(data)

    def recv_into(self, buffer: bytearray) -> int:
        if self.pauses:
            self.pauses -= 1
            raise TimeoutError
        buffer[: len(self.said)] = self.said
        return len(self.said)


def asked(wire: Wire) -> bytes:
    """What the answer to a request of headers and a body is, each with its timeout as urllib3 sets it."""
    sock, buffer = transport._Socket(wire), bytearray(10)
    for part in (b"headers ", b"body"):
        sock.settimeout(5.0)
        sock.sendall(part)
    sock.settimeout(30.0)
    return bytes(buffer[: sock.answer_into(buffer)])


def test_a_request_is_sent_in_one_piece_once_its_answer_is_waited_for():
    assert asked(wire := Wire(pauses=3)) == b"HTTP"
    assert (wire.sent, wire.timeouts) == ([b"headers body"], [transport._TICK_S, 5.0, transport._TICK_S])


@pytest.mark.parametrize("gone", [BrokenPipeError, ConnectionResetError])
def test_who_answers_before_the_request_is_whole_is_heard(gone: type[OSError]):
    assert asked(Wire(gone=gone)) == b"HTTP"


def test_an_answer_that_does_not_come_ends_with_the_silence(monkeypatch: pytest.MonkeyPatch):
    now = iter(range(1000))
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with pytest.raises(TimeoutError):
        asked(Wire(pauses=500))
    assert 30 <= next(now) <= 40
