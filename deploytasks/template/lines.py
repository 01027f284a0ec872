"""Find the template line behind a part of a rendered document; used only to report an error.

A template is rendered again with a mark before each piece of it, and the document's JSON is walked with its offsets.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, Template, nodes
from msgspec import Struct

from deploytasks.template.shape import Path

_MARK = re.compile("\ue000([0-9]+)\ue001")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BLANK = re.compile(r"[ \t\n\r]*")
_scanned = json.JSONDecoder().raw_decode


class Lines(Struct, frozen=True):
    """The template line of each piece of a rendered text: `starts` are offsets, ascending."""

    starts: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()

    def at(self, offset: int) -> int:
        """Return the template line of the text at the offset; 0 if it is unknown."""
        index = bisect_right(self.starts, offset) - 1
        return self.lines[index] if index >= 0 else 0


def lines_of(environment: Environment, name: str, context: Mapping[str, Any], text: str) -> Lines:
    """Return the template lines of the text that it rendered; none if the marks changed the text."""
    try:
        pieces = _MARK.split(_with_marks(environment, name).render(context))
    except Exception:  # what a template says of a text may fail once there are marks in it
        return Lines()
    starts, offset = [], len(pieces[0])
    for piece in pieces[2::2]:
        starts.append(offset)
        offset += len(piece)
    return Lines(tuple(starts), tuple(map(int, pieces[1::2]))) if "".join(pieces[::2]) == text else Lines()


def offsets(text: str) -> Iterator[tuple[Path, int]]:
    """Yield every path of a JSON document, and the offset in the text of its key (in a list, of its value).

    A key that stands twice in one object is yielded twice.
    """
    places: list[tuple[Path, int]] = [((), _skip(text, 0))]
    _walk(text, _skip(text, 0), (), places)
    yield from places


def _with_marks(environment: Environment, name: str) -> Template:
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    tree = environment.parse(source, name)
    for output in tree.find_all(nodes.Output):
        output.nodes = [piece for child in output.nodes for piece in _marked(child)]
    return Template.from_code(environment, environment.compile(tree, name), environment.make_globals(None))


def _marked(child: nodes.Expr) -> Iterator[nodes.Expr]:
    if not isinstance(child, nodes.TemplateData):
        yield nodes.TemplateData(f"\ue000{child.lineno}\ue001", lineno=child.lineno)
        yield child
        return
    for number, line in enumerate(_LINE.findall(child.data), child.lineno):
        yield nodes.TemplateData(f"\ue000{number}\ue001{line}", lineno=child.lineno)


def _walk(text: str, start: int, path: Path, places: list[tuple[Path, int]]) -> int:
    """Add the offsets of the value's members to `places`, and return the offset after the value at `start`."""
    match text[start]:
        case "{" | "[" as bracket:
            at, index = _skip(text, start + 1), 0
            while text[at] not in "}]":
                member = at
                if bracket == "{":
                    key, at = _scanned(text, at)
                    at = _skip(text, _skip(text, at) + 1)
                places.append(((*path, key if bracket == "{" else index), member))
                at = _skip(text, _walk(text, at, places[-1][0], places))
                at = _skip(text, at + 1) if text[at] == "," else at
                index += 1
            return at + 1
        case _:
            return _scanned(text, start)[1]


def _skip(text: str, offset: int) -> int:
    blank = _BLANK.match(text, offset)
    assert blank is not None
    return blank.end()


_COMMENT = re.compile(r"//|/\*|#")
_TRAILING = re.compile(r",\s*[}\]]")
_ECSPRESSO = re.compile(r"\{\{-?\s*(must_env|env)[\s(]+[`\"'](\w+)")
_LOOKED_UP = re.compile(r"\{\{-?\s*(tfstate|tfstatef|ssm|secretsmanager_arn|cfn_output|cfn_export)\b")
_ANSWERS = {"taskDefinition": "describe-task-definition", "services": "describe-services", "service": "create-service"}


def on_broken_json(text: str, offset: int) -> str:
    """Return the advice on text that is not JSON from the offset on; "" if there is none."""
    if _COMMENT.match(text, offset):
        return "JSON has no comments: write {# … #}, which is left out of what is rendered"
    comma = text.rfind(",", 0, offset + 1)  # Python 3.13 reports the offset of the comma, earlier ones of what follows
    if comma >= 0 and (match := _TRAILING.match(text, comma)) and offset < match.end():
        return "leave out the comma before it"
    return ""


def on_failed_line(line: str) -> str:
    """Return how to write the template's line if it is in another tool's language; else ""."""
    if match := _ECSPRESSO.search(line):
        call, name = match.groups()
        how = f'{{{{ env_var("{name}") }}}}'
        return f"`{call}` is ecspresso's: write {how}, or give it in envs/ and write {{{{ vars.name }}}}"
    if match := _LOOKED_UP.search(line):
        return f"`{match[1]}` is ecspresso's: put the value into envs/, and write {{{{ vars.name }}}}"
    return ""


def on_no_object(value: Any) -> str:
    """Return the advice on a document that is not an object."""
    if isinstance(value, list) and value and all(isinstance(each, Mapping) and "image" in each for each in value):
        return 'these are containers: write {"containerDefinitions": [ … ]} around them'
    return "write one object: { … }"


def on_pasted_answer(value: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the complaint about, and the advice on, a pasted answer of the AWS CLI; None if the value is none."""
    for key, command in _ANSWERS.items():
        inner = value.get(key)
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(inner, Mapping):
            what = f"this is the output of `aws ecs {command}`"
            return what, f'keep the value of "{key}", without the keys that only ECS writes'
    return None


def without_nulls(value: Any) -> Any:
    """Return the value without keys whose value is null; a null in a list stays, and is refused."""
    match value:
        case dict():
            return {key: without_nulls(each) for key, each in value.items() if each is not None}
        case list():
            return [without_nulls(each) for each in value]
        case _:
            return value
