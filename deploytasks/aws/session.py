"""Clients for many accounts at the price of one: each has a view of a shared client, and keys that refresh."""

import threading
import time
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploytasks.aws.assumed_roles import RoleKeys, assume
from deploytasks.aws.botocore_session import SharingSession
from deploytasks.aws.callers import Caller, attend
from deploytasks.aws.credentials import ProfileCredentials, chain
from deploytasks.aws.errors import no_credentials, translated
from deploytasks.aws.operations import guard
from deploytasks.aws.rate_limits import Buckets
from deploytasks.aws.retries import CONFIG, FIRST, RetryPolicy
from deploytasks.errors import AwsError, Complaint, DeployError
from deploytasks.model import Access, Author, OnEvent, SessionFactory, Told

_BELIEVED_S = 30.0


class Clients:
    """Creates each client once, on first use; safe to use from many threads. Assumed roles are named after `author`.

    `tell` is called when AWS does not answer for a while. Without `sessions`, the profiles that `envs/` names are used.
    """

    def __init__(
        self, author: Author, tell: OnEvent = lambda event: None, sessions: SessionFactory | None = None
    ) -> None:
        self.author, self._tell, self._hand_in = author, tell, sessions
        self.stopped = threading.Event()
        """Set by an interruption: nothing waits for its turn any more, and no write is started."""
        self._lock = threading.RLock()
        self._sessions: dict[Access, _Session] = {}
        self._distinct: dict[Any, _Session] = {}
        self._credentials: dict[Access, tuple[Any, str]] = {}
        self._clients: dict[tuple[str, Access], Any] = {}
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
        keys, _ = self._entry(access)
        with self._lock:
            if (service, access) not in self._clients:
                self._clients[service, access] = self._made(service, access, f"account {access.account}", keys)
            return self._clients[service, access]

    def _entry(self, access: Access) -> tuple[Any, str]:
        with self._lock:
            known, refused = self._credentials.get(access), self._refused.get(access)
        if refused and time.monotonic() < refused[0]:
            error = refused[1]
            raise AwsError(
                *error.complaints, error_code=error.error_code, operation=error.operation
            ) from error.__cause__
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
        session = self._session(access)
        account = session.account or self._sts(access).get_caller_identity()["Account"]
        with self._lock:
            session.account = session.account or account
            return None, session.account

    def _assumed(self, access: Access) -> tuple[Any, str]:
        keys = RoleKeys(partial(assume, self._sts(access), access, self.author))
        return keys, keys.account

    def _sts(self, access: Access) -> Any:
        """Return the STS client of the session itself, in the region of the access."""
        with self._lock:
            session = self._session(access)
            if access.region not in session.sts:
                session.sts[access.region] = self._made("sts", access, "AWS", None)
            return session.sts[access.region]

    def _made(self, service: str, access: Access, where: str, keys: RoleKeys | None) -> Any:
        """Return the shared client as this access uses it, with the keys of its role, or the session's own if None."""
        session = self._session(access)
        client = self._shared(session, service, access.region)
        policy = RetryPolicy(client, where, self._tell, self.stopped, keys)
        return client.used_by(Caller(keys or session.own, policy, partial(self._buckets.wait, access, service)))

    def _shared(self, session: "_Session", service: str, region: str) -> Any:
        try:
            return session.client(service, region)
        except ValueError as error:
            if not str(error).startswith("Invalid endpoint"):  # botocore has no exception class for it
                raise
            to_do = "fix AWS_ENDPOINT_URL, e.g. http://localhost:4566, or unset it"
            raise AwsError(Complaint(f"AWS {service}", str(error), to_do)) from error

    def _session(self, access: Access) -> "_Session":
        """Return the session of the access's profile, or the one that was handed in: the same for many accesses."""
        with self._lock:
            if access not in self._sessions:
                given = self._hand_in(access) if self._hand_in else None
                key = access.profile if given is None else given
                self._sessions[access] = self._distinct.get(key) or self._distinct.setdefault(
                    key, self._new(access, given)
                )
            return self._sessions[access]

    def _new(self, access: Access, given: Any) -> "_Session":
        profile = access.profile if given is None else _named(given)
        core = SharingSession(profile, self.stopped, given and given.events)
        load = given.get_credentials if given else lambda: chain(core, access.region, self.stopped).load_credentials()
        own = ProfileCredentials(profile, load, self.stopped, lambda message: self._tell(Told("aws", message)))
        return _Session(core, own)


class _Session:
    """A boto3.Session, its `own` credentials, their account if it is known, and its STS client in each region."""

    def __init__(self, core: SharingSession, own: Any) -> None:
        self._session, self.own = boto3.Session(botocore_session=core), own
        self.account = ""
        self.sts: dict[str, Any] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str) -> Any:
        """Return the one client of the service in the region; only views of it may call AWS."""
        if (service, region) not in self._clients:
            config = FIRST if service == "sts" else CONFIG
            client = self._clients[service, region] = self._session.client(service, region_name=region, config=config)
            guard(client)
            attend(client)
        return self._clients[service, region]


def _named(session: boto3.Session) -> str | None:
    """Return the session's profile. Boto3 says "default" for none, which botocore then wants to find in the files."""
    return None if session.profile_name == "default" else session.profile_name
