"""Find secrets: by names that look secret, in texts and in definitions. `masking.py` shows what is left. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from msgspec import Struct

from deploytasks.model import IDENTIFYING, MASK, Definition, Hidden, Plan, Target, hidden_in, is_hidden
from deploytasks.report.text import ADDRESS_SECRET

Path = tuple[str, ...]
"""The path of a value: `("containerDefinitions", "api", "environment", "LOG_LEVEL", "value")`."""

_SHORTEST = 6
"""Shorter secrets are masked only where they stand, and not searched for elsewhere."""
_REFERENCES = frozenset({"valueFrom", "credentialsParameter", "key", "name"})
"""Members that only name something, a secret included, and are no secret themselves."""

_SECRET_WORD = re.compile(
    r"password|passwd|passphrase|secret|token(?!iz)|credential|(?:access|secret|private|auth|api)_?keys?"
    r"|(?:^|[^a-z])(?:pass|pwd|pw|keys?|pem|salt|cookie|signing|auth|dsn)(?:$|[^a-z])"
)
_VALUE = r"""(?:(?P<quote>\\*["'])(?P<quoted>(?:(?!(?P=quote))(?:\\.|.))*)|(?P<bare>[^\s&]+))"""
_ASSIGNED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]+)(?:\\*["'][ \t]*[:=]\s*|[ \t]*=[ \t]*|:[ \t]+)""" + _VALUE, re.DOTALL
)
_FLAG = re.compile(r"(?<![\w.-])(?P<name>-[\w-]+)[ \t]+(?!--)" + _VALUE, re.DOTALL)


class Pieces(Struct, frozen=True):
    """A split string: an open piece, a secret, an open piece, and so on; the first and the last are open."""

    open: tuple[str, ...]
    secrets: tuple[str, ...] = ()

    def said(self, masks: Iterable[str]) -> str:
        """Return the string with these masks in place of its secrets."""
        return self.open[0] + "".join(mask + text for mask, text in zip(masks, self.open[1:], strict=True))


@lru_cache(4096)
def looks_secret(name: str) -> bool:
    """Return whether a variable of that name probably holds a secret: `DB_PASSWORD`, `apiKey`, `SENTRY_DSN`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return _SECRET_WORD.search(words.lower()) is not None


def secret_values(plan: Plan) -> frozenset[str]:
    """Return every secret-looking value of the plan's definitions, of those that they replace, and of its commands."""
    running = (rollout.live.definition for rollout in plan.rollouts if rollout.live)
    ours = (each for rollout in plan.rollouts for each in (rollout.request, rollout.create))
    commands = {rollout.steps.commands for rollout in plan.rollouts if rollout.steps}
    values = (value for each in running for value in _variables(each or {}))
    in_commands = (secret for each in commands for secret in secrets_in({"commands": each}))
    return secrets_of(each for each in ours if each) | _long(values) | frozenset(in_commands)


def secrets_of(definitions: Iterable[Definition], targets: Iterable[Target] = ()) -> frozenset[str]:
    """Return every secret-looking value of the definitions' environments, and of the targets' own settings."""
    listed = list(definitions)
    named = (value for definition in listed for value in _variables(definition))
    settings = (value for target in targets for key, value in target.env.items() if looks_secret(key))
    return _long((*named, *settings, *hidden_in(listed)))


def secrets_in(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield every secret that is recognised by its name and long enough to be searched for elsewhere."""
    named = (secret for _, pieces in strings(document, frozenset()) for secret in pieces.secrets)
    for secret in (*named, *hidden_in(document)):
        yield from _recognisable(secret)


def strings(value: Any, known: frozenset[str], path: Path = ()) -> Iterator[tuple[Path, Pieces]]:
    """Yield every string of the value with its path, split into pieces; `known` secrets count anywhere."""
    match value:
        case Mapping():
            members = [(step(key), key, member) for key, member in value.items()]
        case list() | tuple():
            members = [(name, index, item) for index, (name, item) in enumerate(named(value))]
        case _:
            return
    for name, place, member in members:
        if isinstance(member, str):
            whole = is_argument(value, place) if isinstance(place, int) else _hides(value, place)
            yield (*path, name), split(member, known, whole=whole)
        else:
            yield from strings(member, known, (*path, name))


def split(text: str, known: Iterable[str], *, whole: bool) -> Pieces:
    """Return the text in pieces; if it is secret as a `whole`, as one."""
    spans = [(0, len(text))] if whole and text else _joined(_spans(text, known))
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    return Pieces(tuple(pieces[::2]), tuple(pieces[1::2]))


def named(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield each item with its name in a path: the value of an identifying member that may be shown, else its index."""
    used: set[str] = set()
    for index, item in enumerate(items):
        telling = [item[key] for key in IDENTIFYING if key in item] if isinstance(item, Mapping) else []
        name = next((str(each) for each in telling if not is_hidden(each)), str(index))
        yield (f"{name}[{index}]" if name in used else name), item
        used.add(name)


def step(key: str) -> str:
    """Return the key's name in a path."""
    return MASK if isinstance(key, Hidden) else key


def is_argument(words: Sequence[Any], index: int) -> bool:
    """Return whether the word of a command is the value of a flag like `--password` before it, or hidden itself."""
    flag = str(words[index - 1]) if index else ""
    return isinstance(words[index], Hidden) or (flag.startswith("-") and "=" not in flag and looks_secret(flag))


def _hides(owner: Mapping[str, Any], key: str) -> bool:
    """Return whether the member is secret: by its own name, or by the name of the variable whose value it is."""
    if isinstance(owner[key], Hidden):
        return True
    if key == "value":
        return looks_secret(str(owner.get("name", owner.get("key", ""))))
    reference = key in _REFERENCES or str(owner[key]).startswith("arn:")
    return not reference and looks_secret(key)


def _variables(definition: Definition) -> Iterator[str]:
    """Yield the values of the containers' variables whose names look secret."""
    for container in definition.get("containerDefinitions", []):
        for pair in container.get("environment", []):
            if looks_secret(str(pair.get("name", ""))):
                yield str(pair.get("value", ""))


def _long(secrets: Iterable[str]) -> frozenset[str]:
    return frozenset(secret for secret in secrets if len(secret) >= _SHORTEST)


def _recognisable(secret: str) -> frozenset[str]:
    """Return what to search for elsewhere: the whole secret, and its part before a character that may have ended it."""
    return _long((secret, secret.rstrip("\"'}]),;"), re.split(r"[\"'}\]),;]", secret, maxsplit=1)[0]))


Where = tuple[int, int]
"""The start and the end of a secret in a text."""


def _spans(text: str, known: Iterable[str]) -> Iterator[Where]:
    for secret in known:
        if secret in text:
            yield from (found.span() for found in re.finditer(re.escape(secret), text))
    yield from _values(_ASSIGNED, text)
    yield from _values(_FLAG, text)
    yield from (found.span("token" if found["token"] else "password") for found in ADDRESS_SECRET.finditer(text))


def _values(pattern: re.Pattern[str], text: str) -> Iterator[Where]:
    """Yield the values of secret names; search the value of any other name too: it may be an assignment itself."""
    at = 0
    while found := pattern.search(text, at):
        group = "bare" if found["bare"] else "quoted"
        secret = looks_secret(found["name"])
        if secret and found[group]:
            yield found.span(group)
        at = max(found.end() if secret else found.start(group), found.start() + 1)


def _joined(spans: Iterable[Where]) -> list[Where]:
    """Return the spans in order, overlapping ones merged."""
    joined: list[Where] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
