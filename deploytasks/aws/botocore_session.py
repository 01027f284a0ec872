"""The botocore session beneath each boto3.Session: what its clients share makes many cost little more than one.

They share the parsed models, the event handlers and the connections. A session with nothing shared costs 150 ms and
12 MB for each account.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from functools import cache, partial
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_NODELAY
from threading import Event, Lock
from types import FunctionType
from typing import Any

from botocore import handlers
from botocore.endpoint import EndpointCreator
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.loaders import Loader, instance_cache
from botocore.session import Session
from botocore.utils import EVENT_ALIASES, ensure_boolean

from deploytasks.aws import responses
from deploytasks.aws.callers import CallersCredentials, Shared, as_caller
from deploytasks.aws.operations import OPERATIONS, ListedOnly
from deploytasks.aws.retries import FETCHING, OwnRetries, hasten, settle_fetches
from deploytasks.aws.transport import Connections
from deploytasks.service_models import ServiceLoader, whole_model

SERVICES = frozenset(service for service, _ in OPERATIONS)
_EVENTS = ("", "*", *SERVICES, *(EVENT_ALIASES[each] for each in SERVICES & EVENT_ALIASES.keys()))
"""What botocore's events name that are for these services, or for all."""
_TRIMMED = SERVICES - {"sts"}
"""The services whose models are reduced to the operations that are called; of STS, botocore itself calls others."""
_MODELS: dict[str, Any] = {}
"""The parsed model of each service: half a megabyte, and the same for every client."""
_CREATING = Lock()


class _OwnOperations(ServiceLoader):
    """Loads only the operations that are called: methods are half of a client's cost."""

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """Return the model as botocore has it, each time the same object."""
        if type_name != "service-2" or service_name not in _TRIMMED:
            return super().load_service_model(service_name, type_name, api_version)
        return self._own_model(service_name, api_version)

    @instance_cache
    def _own_model(self, service_name: str, api_version: str | None) -> Any:
        whole = whole_model(service_name, api_version)
        own = {name: whole["operations"][name] for service, name in OPERATIONS if service == service_name}
        return {**whole, "operations": own}


@cache
def loader() -> Loader:
    """Return the loader of all of this process's clients: botocore's data is read and parsed once."""
    return _OwnOperations()


def prepare(services: Iterable[str]) -> None:
    """Read what botocore knows of the services, ahead of their first client."""
    for service in services:
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader().load_service_model(service, kind)


def _own_handlers() -> Iterator[tuple[Any, ...]]:
    """Yield botocore's event handlers for the services used here; each client copies all handlers it is given."""
    for entry in handlers.BUILTIN_HANDLERS:
        kind, _, rest = entry[0].partition(".")
        if kind != "docs" and rest.partition(".")[0] in _EVENTS:
            yield entry


@cache
def _events() -> HierarchicalEmitter:
    """Return the emitter whose handlers every session starts with a copy of.

    Old names of events are translated here, once: a client that did so would look through 250 of them for each event.
    """
    emitter = HierarchicalEmitter()
    named = EventAliaser(emitter)
    register = {handlers.REGISTER_FIRST: named.register_first, handlers.REGISTER_LAST: named.register_last}
    for event, handler, *order in _own_handlers():
        register.get(next(iter(order), None), named.register)(event, handler)
    return emitter


class SharingSession(Session):
    """A botocore session whose clients share all that is not a caller's.

    `events` are the handlers of a session that a program handed in.
    """

    def __init__(self, profile: str | None, stopped: Event, events: Any = None) -> None:
        emitter = copy(events or _events())
        super().__init__(include_builtin_handlers=False, profile=profile)
        self.register_component("event_emitter", emitter)  # without boto3's handlers for S3, DynamoDB and EC2
        self.register_component("data_loader", loader())
        self.register_component("response_parser_factory", responses.Factory())
        self.set_default_client_config(FETCHING)
        hasten(emitter)
        settle_fetches(emitter)
        OwnRetries().attend(emitter)
        emitter.register("creating-client-class", partial(_share, _sharing(self)))
        self._stopped = stopped
        self._lock = Lock()
        self._connections: dict[tuple[str, float, float], Connections] = {}

    def get_credentials(self) -> Any:
        """Return credentials that are the caller's at each call. Botocore calls this for each client."""
        return CallersCredentials()

    def connections(self, url: str, service_model: Any, config: Any) -> Connections:
        """Return a client's connections: those of every other with the same proxies, CA bundle and timeouts."""
        key = url, config.connect_timeout, config.read_timeout
        with self._lock:
            if key not in self._connections:
                self._connections[key] = self._new_connections(url, service_model, config)
            return self._connections[key]

    def _new_connections(self, url: str, service_model: Any, config: Any) -> Connections:
        creator: Any = EndpointCreator(self.get_component("event_emitter"))
        connections: Connections = creator.create_endpoint(  # it knows the variables for proxies and CA bundles
            service_model,
            config.region_name,
            url,
            verify=self.get_config_variable("ca_bundle"),
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            socket_options=self._socket_options(),
            http_session_cls=partial(Connections, self._stopped),
        ).http_session
        return next((each for each in self._connections.values() if each.settings == connections.settings), connections)

    def _socket_options(self) -> list[tuple[int, int, int]]:
        keeps_alive = ensure_boolean(self.get_scoped_config().get("tcp_keepalive", False))
        return [(IPPROTO_TCP, TCP_NODELAY, 1), *[(SOL_SOCKET, SO_KEEPALIVE, 1)] * keeps_alive]


def _share(base: type, base_classes: list[type], class_attributes: dict[str, Any], **_: Any) -> None:
    """Give a client's class the base, and calls that carry the caller.

    Source for the event: "Extensibility guide" in boto3's documentation.
    """
    base_classes.insert(0, base)
    methods = {name: each for name, each in class_attributes.items() if isinstance(each, FunctionType)}
    class_attributes.update((name, as_caller(each)) for name, each in methods.items())


def _sharing(session: SharingSession) -> type:
    class Sharing(Shared, ListedOnly):
        """A client with the connections of all the others, and the parsed model of its service."""

        def __init__(self, *, endpoint: Any, service_model: Any, client_config: Any, **given: Any) -> None:
            model = _MODELS.setdefault(service_model.service_name, service_model)
            endpoint.http_session = session.connections(endpoint.host, model, client_config)
            super().__init__(endpoint=endpoint, service_model=model, client_config=client_config, **given)  # type: ignore[call-arg]  # botocore puts its own client behind

        @property
        def exceptions(self) -> Any:
            """The exception classes of the service: two threads at once would each create classes of their own."""
            with _CREATING:
                return super().exceptions  # type: ignore[misc]  # the same

    return Sharing
