"""The keys of an assumed role, renewed as long as somebody uses them: a rollout may outlive a session by hours."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from deploytasks.model import Access, Author

_EARLY = timedelta(minutes=15)
_RETRY_S = 30.0
_JUST_NOW_S = 5.0


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a role: its keys, until when they are good, and whose account it is really in."""

    keys: ReadOnlyCredentials
    until: datetime
    account: str


class RoleKeys(Credentials):
    """What botocore asks for keys before each request: those of the role's present session.

    A new session is opened a quarter of an hour before the present one ends, or half-way where it is short. Where that
    fails, the present keys serve to their end, and it is tried again every half minute: nothing stops for it before.
    Only one thread opens a session; the others wait for it only where the present one has ended.
    """

    def __init__(self, assume: Callable[[], Session]) -> None:
        self._assume, self._lock = assume, Lock()
        self._open()
        keys = self._session.keys
        super().__init__(str(keys.access_key), str(keys.secret_key), keys.token, method="assume-role")

    @property
    def account(self) -> str:
        """The account that the role is really in."""
        return self._session.account

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The keys to sign with.

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
        """The session is a new one, though the present one looked good: AWS calls it expired.

        Raises:
            ClientError, BotoCoreError: a new one can't be opened.

        """
        with self._lock:
            if time.monotonic() - self._opened_at > _JUST_NOW_S:  # else another thread was told so too
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
    """A new session of the access's role, named after who acts.

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
