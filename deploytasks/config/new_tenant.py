"""Compose the file of a new tenant: a minimal one, or one like another tenant's, without what is that tenant's own.

Pure. What is copied can name no other account: an account in a key that takes placeholders becomes `{account}`, and all
else that names one is left out, like credentials, ids of networks, and whatever names the other tenant.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from deploytasks.config import placeholders
from deploytasks.config.files import table
from deploytasks.config.layers import KINDS
from deploytasks.config.lines import Statement, dotted, statements
from deploytasks.errors import Invalid

Path = tuple[str, ...]
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
_SUFFIX = re.compile(r":secret:[^:\"]*-(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{6}(?![A-Za-z0-9])")
"""The six random characters with which Secrets Manager ends a secret's ARN."""
_NETWORK_ID = re.compile(r"\b(?:subnet|sg|vpc|vpce|eni|rtb|fs|fsap)-[0-9a-z]+\b")


class Wanted(Struct, frozen=True):
    """The new tenant; `region` and `profile` are empty if the flags do not give them."""

    tenant: str
    account: str
    tiers: Path
    region: str = ""
    profile: str = ""


class Pattern(Struct, frozen=True):
    """The tenant to copy from: its name, its file's text, its own accounts, and others that it may name."""

    name: str
    text: str
    own_accounts: frozenset[str]
    shared_accounts: frozenset[str] = frozenset()


class LeftOut(Struct, frozen=True):
    """A setting that was not copied: the line that stands for it, its key, and why."""

    line: int
    key: str
    why: str


class Draft(Struct, frozen=True):
    """The text of the file, and what of the other tenant's is left out."""

    text: str
    left_out: tuple[LeftOut, ...] = ()


def minimal(wanted: Wanted, project: Mapping[str, Any], first_line: str = "") -> Draft:
    """Return a file with what is required and what project.toml's [defaults] do not say."""
    defaults = table(project, "defaults")
    lines = _head(wanted, f"# The tenant {wanted.tenant}.", first_line)
    if not wanted.region and "region" not in defaults:
        lines.append(f'region = "{table(project, "registry")["region"]}" # the registry\'s')
    if "cluster" not in defaults:
        lines.append('cluster = "{tenant}-{tier}"')
    return Draft("\n".join([*lines, *_tables(wanted.tiers)]) + "\n")


def like(wanted: Wanted, pattern: Pattern, first_line: str = "") -> Draft:
    """Return a file like the other tenant's, with its comments.

    Raises:
        Invalid: the copy would name an account that is not the new tenant's, or have other tiers.

    """
    lines = _head(wanted, f"# The tenant {wanted.tenant}, written like {pattern.name}.", first_line)
    left_out: list[LeftOut] = []
    for statement, before, own in _blocks(pattern.text):
        if _is_dropped(statement, wanted):
            continue
        before = [line for line in before if not _names(line, pattern)]
        lines += before if lines[-1] or any(before) else []
        why = _why_left_out(statement, pattern, wanted)
        if why:
            lines.append(f"# fill in: {dotted(*statement.path[len(statement.table) :])} = …")
            left_out.append(LeftOut(len(lines), dotted(*statement.path), why))
        else:
            lines += _rewritten(statement, own, pattern)
    missing = [tier for tier in wanted.tiers if tier not in table(tomllib.loads("\n".join(lines)), "tiers")]
    draft = Draft("\n".join([*lines, *_tables(missing)]) + "\n", tuple(left_out))
    guard(draft.text, wanted, pattern)
    return draft


def accounts_in(data: Any) -> frozenset[str]:
    """Return the values of all keys `account` in the tables."""
    leaves = _leaves(data, ()) if isinstance(data, dict) else ()
    return frozenset(str(value) for path, value in leaves if path[-1] == "account")


def _head(wanted: Wanted, comment: str, first_line: str) -> list[str]:
    given = {"account": wanted.account, "region": wanted.region, "profile": wanted.profile}
    keys = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in given.items() if value]
    return [*([first_line] if first_line else []), comment, "", *keys]


def _tables(tiers: Any) -> list[str]:
    return [line for tier in tiers for line in ("", f"[tiers.{tier}]")]


def _blocks(text: str) -> Iterator[tuple[Statement, list[str], list[str]]]:
    """Yield each statement with the blank lines and comments before it, and its own lines.

    What stands before the first one, and after the last one, is the other tenant's and left out.
    """
    lines, found = text.split("\n"), list(statements(text))
    ends = [each.line - 1 for each in found[1:]] + [len(lines)]
    before: list[str] = []
    is_first = True
    for statement, end in zip(found, ends, strict=True):
        own = lines[statement.line - 1 : end]
        if statement.path:
            yield statement, [] if is_first else before, own
            before, is_first = [], False
        else:
            before = before + own if any(own) or not before or before[-1] else before


def _is_dropped(statement: Statement, wanted: Wanted) -> bool:
    """Return whether the new file says it already, or it is of a tier that the new tenant has not."""
    given = {"account": True, "region": wanted.region, "profile": wanted.profile}
    if len(statement.path) == 1:
        return bool(given.get(statement.path[0]))
    return statement.path[0] == "tiers" and statement.path[1] not in wanted.tiers


def _why_left_out(statement: Statement, pattern: Pattern, wanted: Wanted) -> str:
    """Return why an assignment is not copied; "" if it is."""
    if statement.path == statement.table:
        return ""
    leaves = _leaves(tomllib.loads(statement.text), statement.table)
    return next((why for path, value in leaves if (why := _why(path, value, pattern, wanted))), "")


def _why(path: Path, value: Any, pattern: Pattern, wanted: Wanted) -> str:
    setting, text = _setting(path), json.dumps(value, ensure_ascii=False, default=str)
    if setting in ("account", "profile", "external_id") or (setting == "region" and wanted.region):
        return f"{pattern.name} has one of its own"
    if setting in placeholders.KEYS:
        text = _with_placeholder(text, pattern)
    if others := set(_ACCOUNT.findall(text)) - pattern.shared_accounts - {wanted.account}:
        return f"names account {min(others)}"
    if ":{account}:" in text and _SUFFIX.search(text):
        return f"ends in the random characters of {pattern.name}'s secret"
    if found := _NETWORK_ID.search(text):
        return f"names {found[0]}"
    return f"names {pattern.name}" if _names(f"{path[-1]} {text}", pattern) else ""


def _names(text: str, pattern: Pattern) -> bool:
    """Return whether the text names the other tenant, or an account of its own."""
    name = re.compile(rf"(?<![A-Za-z0-9]){re.escape(pattern.name)}(?![A-Za-z0-9])", re.IGNORECASE)
    return bool(name.search(text) or pattern.own_accounts & set(_ACCOUNT.findall(text)))


def _rewritten(statement: Statement, own: list[str], pattern: Pattern) -> list[str]:
    """Return the lines of a statement, with the other tenant's account replaced by the placeholder if one may stand.

    Comments on these lines are left out if one of them names the other tenant.
    """
    takes = statement.path != statement.table and _setting(statement.path) in placeholders.KEYS
    lines, plain = (
        [_with_placeholder(line, pattern) if takes else line for line in each]
        for each in (own, statement.text.split("\n"))
    )
    return [line.rstrip() for line in plain] if any(_names(line, pattern) for line in lines) else lines


def _with_placeholder(text: str, pattern: Pattern) -> str:
    for account in pattern.own_accounts:
        text = text.replace(f":{account}:", ":{account}:")
    return text


def _setting(path: Path) -> str:
    """Return the setting that the path is of, whichever tier, service or job it is for."""
    path = path[2:] if path[:1] == ("tiers",) else path
    path = path[2:] if path and path[0] in KINDS else path
    return path[0] if path else ""


def _leaves(data: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def guard(text: str, wanted: Wanted, pattern: Pattern) -> None:
    """Raise Invalid if the text names an account that is neither the new tenant's nor shared, or has other tiers."""
    data = tomllib.loads(text)
    named = accounts_in(data) | set(_ACCOUNT.findall(json.dumps(data, default=str))) - pattern.shared_accounts
    if named != {wanted.account} or {*table(data, "tiers")} != {*wanted.tiers}:
        to_do = f"leave out --like, and copy what {wanted.tenant} needs by hand"
        raise Invalid.of(f"envs/{pattern.name}.toml", "is written in a way that can't be copied safely", to_do)
