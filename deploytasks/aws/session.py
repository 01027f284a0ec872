"""Clients for many accounts at the price of one: shared models, one connection pool, credentials that refresh.

Every account gets clients of its own, because botocore's retry quota is per client: one tenant's throttling does not
use up another's.
"""

import threading
import time
from collections.abc import Iterator
from copy import copy
from functools import cache, partial
from typing import Any

from botocore import handlers
from botocore.exceptions import BotoCoreError, ClientError
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.loaders import Loader, instance_cache
from botocore.session import Session

from deploytasks.aws import responses
from deploytasks.aws.assumed_roles import RoleKeys, assume
from deploytasks.aws.credentials import ProfileCredentials, chain
from deploytasks.aws.errors import no_credentials, translated
from deploytasks.aws.rate_limits import Buckets
from deploytasks.aws.responses import OPERATIONS
from deploytasks.aws.retries import CONFIG, FETCHING, FIRST, EcsRetries, RetryPolicy, hasten
from deploytasks.aws.transport import Transport
from deploytasks.errors import AwsError, Complaint, DeployError
from deploytasks.model import Access, Author, OnEvent, Told

SERVICES = ("sts", "ecs", "ecr", "ssm", "logs", "cloudwatch-logs", "secretsmanager", "secrets-manager", "iam")
"""The services that this package calls, by their names in botocore's events."""

_TRIMMED = frozenset({"ecs", "iam", "secretsmanager", "ssm"})
"""The services whose models are reduced to the operations that are called."""
_BELIEVED_S = 30.0
_MODELS: dict[str, Any] = {}
"""The parsed model of each service: half a megabyte, and the same for every client."""


class Clients:
    """Creates each client once, on first use; safe to use from many threads. Assumed roles are named after `author`.

    `tell` is called when AWS does not answer for a while.
    """

    def __init__(self, author: Author, tell: OnEvent = lambda event: None) -> None:
        self.author, self._tell = author, tell
        self.stopped = threading.Event()
        """Set by an interruption: nothing waits for its turn any more, and no write is started."""
        self._lock = threading.RLock()
        self._sessions: dict[str | None, _Lender] = {}
        self._credentials: dict[Access, tuple[Any, str]] = {}
        self._clients: dict[tuple[str, Access], Any] = {}
        self._accounts: dict[str | None, str] = {}
        self._refused: dict[Access, tuple[float, AwsError]] = {}
        self._buckets = Buckets(self.stopped)

    def account(self, access: Access) -> str:
        """Return the account that the credentials really belong to.

        Raises:
            AwsError: there are no credentials, or they were refused.

        Source: sts AssumeRole's own answer, GetCallerIdentity where no role is assumed.

        """
        return self._entry(access)[1]

    def of(self, service: str, access: Access) -> Any:
        """Return the client of an AWS service in an account and region."""
        with self._lock:
            known = self._clients.get((service, access))
        if known is not None:
            return known
        credentials, _ = self._entry(access)
        with self._lock:
            if (service, access) not in self._clients:
                client = self._clients[service, access] = self._make(service, access, credentials)
                _ = client.exceptions  # created at first use: two threads at once would each get classes of their own
                self._buckets.guard(client, access)
                RetryPolicy(f"account {access.account}", self._tell, self.stopped, credentials).attend(client)
            return self._clients[service, access]

    def _entry(self, access: Access) -> tuple[Any, str]:
        with self._lock:
            known, refused = self._credentials.get(access), self._refused.get(access)
        if refused and time.monotonic() < refused[0]:
            raise AwsError(*refused[1].complaints, error_code=refused[1].error_code) from refused[1].__cause__
        if known is None:
            known = self._enter(access)
            with self._lock:
                known = self._credentials.setdefault(access, known)
        return known

    def _enter(self, access: Access) -> tuple[Any, str]:
        """Return the credentials and account; cache a failure for a while, since fetching may take half a minute."""
        try:
            with translated(f"account {access.account}", access.profile or ""):
                return self._entered(access)
        except AwsError as error:
            with self._lock:
                self._refused[access] = time.monotonic() + _BELIEVED_S, error
            raise

    def _entered(self, access: Access) -> tuple[Any, str]:
        try:
            return self._assumed(access) if access.role else self._plain(access)
        except (BotoCoreError, ClientError, DeployError):
            raise
        except Exception as error:  # botocore lets through whatever a credential_process or a file raises
            raise no_credentials(f"account {access.account}", access.profile or "", error) from error

    def _plain(self, access: Access) -> tuple[Any, str]:
        with self._lock:
            known = self._accounts.get(access.profile)
        account = known or self._sts(access).get_caller_identity()["Account"]
        with self._lock:
            return None, self._accounts.setdefault(access.profile, account)

    def _assumed(self, access: Access) -> tuple[Any, str]:
        keys = RoleKeys(partial(assume, self._sts(access), access, self.author))
        return keys, keys.account

    def _sts(self, access: Access) -> Any:
        base = Access(account="", region=access.region, profile=access.profile)
        with self._lock:
            key = ("sts", base)
            if key not in self._clients:
                self._clients[key] = self._make("sts", base, None)
                RetryPolicy("AWS", self._tell, self.stopped).attend(self._clients[key])
            return self._clients[key]

    def _make(self, service: str, access: Access, credentials: Any) -> Any:
        if access.profile not in self._sessions:
            lender = self._sessions[access.profile] = _Lender(access.profile, self.stopped)
            lender.own = ProfileCredentials(
                access.profile,
                lambda: chain(lender, access.region, self.stopped).load_credentials(),
                self.stopped,
                lambda message: self._tell(Told("aws", message)),
            )
        return self._sessions[access.profile].client(service, access.region, credentials)


class _OwnOperations(Loader):
    """Loads only the operations that are called, for large services: methods are half of a client's cost."""

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """Return the model as botocore has it, each time the same object."""
        if type_name != "service-2" or service_name not in _TRIMMED:
            return super().load_service_model(service_name, type_name, api_version)
        return self._own_model(service_name, api_version)

    @instance_cache
    def _own_model(self, service_name: str, api_version: str | None) -> Any:
        whole = super().load_service_model(service_name, "service-2", api_version)
        return {**whole, "operations": {name: whole["operations"][name] for name in OPERATIONS[service_name]}}


@cache
def loader() -> Loader:
    """Return the loader of all of this process's clients: botocore's data is read and parsed once."""
    return _OwnOperations(include_default_search_paths=True)


def _own_handlers() -> Iterator[tuple[Any, ...]]:
    """Yield botocore's event handlers for the services used here; each client copies all handlers it is given."""
    for entry in handlers.BUILTIN_HANDLERS:
        kind, _, rest = entry[0].partition(".")
        if kind != "docs" and rest.partition(".")[0] in ("", "*", *SERVICES):
            yield entry


class _Aliases(EventAliaser):
    """Translates the names of events once for all clients; botocore's own cache is lost with each client's copy."""

    def __copy__(self) -> Any:
        twin: Any = super().__copy__()
        twin._alias_name_cache = vars(self)["_alias_name_cache"]
        return twin


@cache
def _events() -> _Aliases:
    """Return the emitter whose handlers every session starts with a copy of."""
    emitter = _Aliases(HierarchicalEmitter())
    register = {handlers.REGISTER_FIRST: emitter.register_first, handlers.REGISTER_LAST: emitter.register_last}
    for event, handler, *order in _own_handlers():
        register.get(next(iter(order), None), emitter.register)(event, handler)
    return emitter


class _Lender(Session):
    """One botocore session that lends each new client its credentials.

    A session per account would cost 13 ms and 10 MB each; `get_credentials` is the method that botocore itself calls.
    """

    def __init__(self, profile: str | None, stopped: threading.Event) -> None:
        super().__init__(include_builtin_handlers=False, profile=profile)
        emitter: Any = copy(_events())
        self._events = emitter
        self.register_component("event_emitter", emitter)
        self.register_component("data_loader", loader())
        self.register_component("response_parser_factory", responses.Factory())
        hasten(emitter)
        EcsRetries().attend(emitter)
        self.set_default_client_config(FETCHING)
        self.own: Any = None
        """The profile's own credentials."""
        self._lent: Any = None
        self._pool: Transport | None = None
        self._stopped = stopped

    def get_credentials(self) -> Any:
        """Return the lent credentials, or the profile's own if none are lent."""
        return self._lent or self.own

    def client(self, service: str, region: str, credentials: Any) -> Any:
        """Return a client with these credentials, on the connections of all the others."""
        self._lent = credentials
        try:
            client: Any = self.create_client(service, region_name=region, config=FIRST if service == "sts" else CONFIG)
        except ValueError as error:
            if not str(error).startswith("Invalid endpoint"):  # botocore has no exception class for it
                raise
            to_do = "fix AWS_ENDPOINT_URL, e.g. http://localhost:4566, or unset it"
            raise AwsError(Complaint(f"AWS {service}", str(error), to_do)) from error
        finally:
            self._lent = None
        return self._sharing(service, client)

    def _sharing(self, service: str, client: Any) -> Any:
        """Return the client with the connections of all the others and the parsed model of its service.

        Botocore has no public switch for either. A new HTTPS connection costs it 45 ms of CPU for reading the CA
        bundle again.
        """
        self._pool = self._pool or Transport(client._endpoint.http_session, self._stopped)
        client._endpoint.http_session = self._pool
        client.meta._service_model = _MODELS.setdefault(service, client.meta.service_model)
        return client
