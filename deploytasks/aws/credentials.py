"""The credentials of a profile, as botocore's own providers find them; each fetch has an overall deadline.

They come from files, programs, STS, IAM Identity Center, the container's or the instance's metadata: botocore gives
some of these no deadline, and a server that sends a byte a second never triggers its read timeout.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from botocore.credentials import (
    AssumeRoleProvider,
    CanonicalNameCredentialSourcer,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    EnvProvider,
    ProcessProvider,
    ProfileProviderBuilder,
    ReadOnlyCredentials,
    RefreshableCredentials,
    create_credential_resolver,
)
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError
from botocore.session import Session

from deploytasks.aws import credential_process
from deploytasks.aws.transport import GRACE_S, Abandoned
from deploytasks.concurrency import started

FETCH_S = 65.0
"""How long a fetch may take; a program has a little less, so that the error names it."""
TOLD_AFTER_S = 5.0
_BELIEVED_S = 30.0
_TICK_S = 0.25
_MANDATORY_S = 600
"""Credentials valid for longer are used though renewal failed. Source: botocore's RefreshableCredentials."""


class ProfileCredentials(Credentials):
    """The credentials that botocore reads before each request: the profile's, fetched at first use and when due.

    One thread loads them while the others wait; a failure is cached for `_BELIEVED_S`. `load` returns None if there are
    none. `tell` is called once if a fetch takes long.
    """

    def __init__(
        self,
        profile: str | None,
        load: Callable[[], Credentials | None],
        stopped: threading.Event,
        tell: Callable[[str], None],
    ) -> None:
        super().__init__("", "")
        self._whose = f"profile {profile}" if profile else "the default profile"
        self._load, self._stopped, self._tell = load, stopped, tell
        self._loading = threading.Lock()
        self._found: Credentials | None = None
        self._last: ReadOnlyCredentials | None = None
        self._failed: Exception | None = None
        self._believed_until = 0.0

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the keys to sign with.

        Raises:
            NoCredentialsError, CredentialRetrievalError: there are none, or they did not arrive in time.
            Abandoned: the command was interrupted.

        """
        last = self._last
        if last is None or self._ends_in(_MANDATORY_S):
            last = self._last = self._fetched()
        elif self._ends_in(None) and time.monotonic() >= self._believed_until:
            self._believed_until = time.monotonic() + _BELIEVED_S
            with suppress(CredentialRetrievalError):
                last = self._last = self._fetched()
        return last

    def _ends_in(self, seconds: int | None) -> bool:
        """Return whether the credentials expire within `seconds`; None is when botocore first tries to renew them."""
        found = self._found
        return isinstance(found, RefreshableCredentials) and found.refresh_needed(seconds)

    def _loaded(self) -> Credentials:
        with self._loading:
            if self._found is None and self._failed and time.monotonic() < self._believed_until:
                raise self._failed
            if self._found is None:
                try:
                    self._found = self._load()
                except Exception as error:
                    self._failed, self._believed_until = error, time.monotonic() + _BELIEVED_S
                    raise
            if self._found is None:
                raise NoCredentialsError
            return self._found

    def _fetched(self) -> ReadOnlyCredentials:
        """Fetch in a separate thread, since nothing else ends a wait for a server that drips."""
        answer = started(lambda: self._loaded().get_frozen_credentials())
        began_at, is_told = time.monotonic(), False
        until = began_at + FETCH_S
        while not answer.done() and time.monotonic() < until:
            with suppress(TimeoutError):
                answer.exception(_TICK_S)
            if self._stopped.is_set():
                until = min(until, time.monotonic() + GRACE_S)
            if not is_told and time.monotonic() >= began_at + TOLD_AFTER_S:
                is_told = True
                self._tell(f"the credentials of {self._whose} are waited for")
        if answer.done():
            return answer.result()
        if self._stopped.is_set():
            raise Abandoned
        raise CredentialRetrievalError(provider=self._whose, error_msg=f"they did not come in {FETCH_S:g} s")


def chain(session: Session, region: str, stopped: threading.Event) -> CredentialResolver:
    """Return botocore's chain of providers, in which every credential_process has a deadline."""
    found, profile = create_credential_resolver(session, region_name=region), session.profile or "default"
    profiles = _Profiles(session, region, stopped)
    nested = [found.get_provider("container-role"), found.get_provider("iam-role")]
    role = AssumeRoleProvider(
        load_config=lambda: session.full_config,
        client_creator=lambda service, **given: session.create_client(service, **{"region_name": region, **given}),
        cache={},
        profile_name=profile,
        credential_sourcer=CanonicalNameCredentialSourcer([EnvProvider(), *nested]),
        profile_provider_builder=profiles,
    )
    found.providers = [role if each.METHOD == role.METHOD else each for each in found.providers]
    found.providers = profiles.bounded(found.providers, profile)
    return found


class _Profiles(ProfileProviderBuilder):
    """Builds the providers of the source profiles of a role's profile."""

    def __init__(self, session: Session, region: str, stopped: threading.Event) -> None:
        super().__init__(session, cache={}, region_name=region)
        self._load_config, self._stopped = lambda: session.full_config, stopped

    def providers(self, profile_name: str, disable_env_vars: bool = False) -> list[CredentialProvider]:
        """Return the providers in botocore's order."""
        return self.bounded(super().providers(profile_name, disable_env_vars), profile_name)

    def bounded(self, providers: list[CredentialProvider], profile: str) -> list[CredentialProvider]:
        """Return the same providers, with a deadline for a credential_process."""
        own = credential_process.provider(profile, self._load_config, self._stopped)
        return [own if isinstance(each, ProcessProvider) else each for each in providers]
