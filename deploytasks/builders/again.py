"""A registry that resets a connection, or is busy for a moment, is asked again: pushing twice does no harm."""

import re
import time
from collections.abc import Callable
from typing import TypeVar

import requests
from urllib3.exceptions import ProtocolError

from deploytasks.errors import BuildFailed

PAUSES_S = (1.0, 3.0, 9.0)
"""Between the attempts, of which there is one more."""
_BUSY = frozenset({429, 500, 502, 503, 504})
_PASSING_WORDS = re.compile(
    r"reset by peer|\bEOF\b|broken pipe|timeout|toomanyrequests|HTTP status: (429|50\d)", re.IGNORECASE
)
Answer = TypeVar("Answer")


def again(work: Callable[[], Answer], passes: Callable[[BuildFailed], bool], tell: Callable[[str], None]) -> Answer:
    """What the work answers, tried again as long as what went wrong may pass.

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
    """Whether the registry cut us off in the middle, or is busy; one that was never reached is neither."""
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
    """Whether an engine's words for a push that failed are those of a reset, or of a busy registry."""
    return bool(_PASSING_WORDS.search(error.complaints[0].what))
