"""Keep secrets out of reports: values of the definitions' environment variables with secret-looking names.

Such a value may be repeated by a container's log or by a reason that AWS gives.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from deploytasks.model import (
    MASK,
    DeadTask,
    Definition,
    Ended,
    Event,
    Logged,
    Plan,
    Planned,
    Progress,
    Report,
    Result,
    Target,
    Told,
    hidden_in,
)
from deploytasks.report.text import harmless

_SECRET_WORD = re.compile(
    r"password|passwd|passphrase|secret|token(?!iz)|credential|(?:access|secret|private|auth|api)_?keys?"
    r"|(?:^|[^a-z])(?:pass|pwd|pw|keys?|pem|salt|cookie|signing|auth|dsn)(?:$|[^a-z])"
)
SHORTEST = 6


@lru_cache(4096)
def looks_secret(name: str) -> bool:
    """Return whether a variable of that name probably holds a secret: `DB_PASSWORD`, `apiKey`, `SENTRY_DSN`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return _SECRET_WORD.search(words.lower()) is not None


def secret_values(plan: Plan) -> frozenset[str]:
    """Return every secret-looking environment value of the plan's definitions, and of those that they replace."""
    pairs: list[tuple[str, str]] = []
    hidden: frozenset[str] = frozenset()
    for rollout in plan.rollouts:
        running = rollout.live.definition if rollout.live else None
        pairs += [*_environment(rollout.request), *_environment(running)]
        hidden |= hidden_in((rollout.request, rollout.create))
    return _secret(pairs) | _long(hidden)


def secrets_of(definitions: Iterable[Definition], targets: Iterable[Target] = ()) -> frozenset[str]:
    """Return every secret-looking value of the definitions' environments, and of the targets' own settings."""
    settings = _secret(pair for target in targets for pair in target.env.items())
    listed = list(definitions)
    named = _secret(pair for definition in listed for pair in _environment(definition))
    return settings | named | _long(hidden_in(listed))


def veil(text: str, secrets: frozenset[str]) -> str:
    """Return the text with the secrets masked, also as JSON writes them, and with escape sequences inside them."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    if text.isprintable():
        return text
    plain = harmless(text)
    return veil(plain, secrets) if any(secret in plain for secret in secrets) else text


@lru_cache(8)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """Return what to search for, the longest first: each secret as it is, and as JSON writes it."""
    written = (json.dumps(secret, ensure_ascii=False)[1:-1] for secret in secrets)
    return tuple(sorted({*secrets, *written}, key=len, reverse=True))


def veiled_document(value: Any, secrets: frozenset[str]) -> Any:
    """Return the JSON-able value with the secrets in its strings masked."""
    match value:
        case str():
            return veil(value, secrets)
        case Mapping():
            return {key: veiled_document(member, secrets) for key, member in value.items()}
        case list() | tuple():
            return [veiled_document(item, secrets) for item in value]
        case _:
            return value


def veiled(event: Event, secrets: frozenset[str]) -> Event:
    """Return the event with the secrets in its texts masked."""
    match event:
        case Told() | Logged():
            return replace(event, message=veil(event.message, secrets))
        case Progress():
            return replace(event, state=veil(event.state, secrets), last_event=veil(event.last_event, secrets))
        case Ended():
            return Ended(_veiled_result(event.result, secrets))
        case Planned():
            return Planned(replace(event.plan, notes=_veil_all(event.plan.notes, secrets)))


def veiled_report(report: Report) -> Report:
    """Return the report with the secrets of its own definitions masked in its texts."""
    secrets = secret_values(report.plan)
    return replace(
        report,
        plan=replace(report.plan, notes=_veil_all(report.plan.notes, secrets)),
        results=tuple(_veiled_result(result, secrets) for result in report.results),
        notes=_veil_all(report.notes, secrets),
        resume=veil(report.resume, secrets),
    )


def _secret(pairs: Iterable[tuple[str, str]]) -> frozenset[str]:
    return _long(value for name, value in pairs if looks_secret(name))


def _long(secrets: Iterable[str]) -> frozenset[str]:
    return frozenset(secret for secret in secrets if len(secret) >= SHORTEST)


def _environment(definition: Definition | None) -> list[tuple[str, str]]:
    containers: Iterable[Mapping[str, Any]] = (definition or {}).get("containerDefinitions", [])
    return [
        (str(pair.get("name", "")), str(pair.get("value", "")))
        for container in containers
        for pair in container.get("environment", [])
    ]


def _veiled_result(result: Result, secrets: frozenset[str]) -> Result:
    secrets |= _secret(result.target.env.items())
    tasks = tuple(
        DeadTask(task.id, veil(task.reason, secrets), _veil_all(task.exits, secrets), _veil_all(task.log, secrets))
        for task in result.tasks
    )
    return replace(result, detail=veil(result.detail, secrets), tasks=tasks)


def _veil_all(texts: Iterable[str], secrets: frozenset[str]) -> tuple[str, ...]:
    return tuple(veil(text, secrets) for text in texts)
