"""The keys of an assumed role, renewed while they are in use: a rollout may outlive a session by hours."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from deploytasks.model import Access, Author

_EARLY = timedelta(minutes=15)
_RETRY_S = 30.0
_JUST_NOW_S = 5.0


class Session(Struct, frozen=True):
    """One session of a role: its keys, their expiration, and the account that the role is really in."""

    keys: ReadOnlyCredentials
    until: datetime
    account: str


class RoleKeys(Credentials):
    """The credentials that botocore reads before each request: the keys of the role's present session.

    A new session is opened 15 minutes before the present one ends, or half-way if it is short. If that fails, the
    present keys serve until they expire, and it is retried every half minute: no request fails before. Only one thread
    opens a session; the others wait for it only if the present one has ended.
    """

    def __init__(self, assume: Callable[[], Session]) -> None:
        self._assume, self._lock = assume, Lock()
        self._open()
        keys = self._session.keys
        super().__init__(str(keys.access_key), str(keys.secret_key), keys.token, method="assume-role")

    @property
    def account(self) -> str:
        """Return the account that the role is really in."""
        return self._session.account

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the keys to sign with.

        Raises:
            ClientError, BotoCoreError: the session has ended, and a new one can't be opened.

        """
        if _is_past(self._session.until):
            with self._lock:
                if _is_past(self._session.until):
                    self._open()
        elif _is_past(self._renew_at) and self._lock.acquire(blocking=False):
            try:
                self._open_early()
            finally:
                self._lock.release()
        return self._session.keys

    def renew(self) -> None:
        """Open a new session though the present one looks valid: AWS reports it as expired.

        Raises:
            ClientError, BotoCoreError: a new one can't be opened.

        """
        with self._lock:
            if time.monotonic() - self._opened_at > _JUST_NOW_S:  # else another thread has just renewed it
                self._open()

    def _open(self) -> None:
        self._session = self._assume()
        now, until = datetime.now(UTC), self._session.until
        self._renew_at = now + max(until - now - _EARLY, (until - now) / 2)
        self._opened_at = time.monotonic()

    def _open_early(self) -> None:
        try:
            if _is_past(self._renew_at):
                self._open()
        except (ClientError, BotoCoreError):
            self._renew_at = datetime.now(UTC) + timedelta(seconds=_RETRY_S)


def _is_past(moment: datetime) -> bool:
    return datetime.now(UTC) >= moment


def assume(sts: Any, access: Access, author: Author) -> Session:
    """Open a new session of the access's role, named after the author.

    Source: sts AssumeRole.

    """
    extra = {"ExternalId": access.external_id} if access.external_id else {}
    answer = sts.assume_role(RoleArn=access.role, RoleSessionName=_session_name(author), **extra)
    given = answer["Credentials"]
    keys = ReadOnlyCredentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return Session(keys, given["Expiration"], answer["AssumedRoleUser"]["Arn"].split(":")[4])


def _session_name(author: Author) -> str:
    legal = "".join(char if char.isascii() and (char.isalnum() or char in "+=,.@-_") else "-" for char in author.by)
    return f"deploytasks-{legal}"[:64]
