"""What to do about templates that came from another tool, or whole from AWS's answers. Pure."""

import re
from collections.abc import Mapping
from typing import Any

_COMMENT = re.compile(r"//|/\*|#")
_TRAILING = re.compile(r",\s*[}\]]")
_ECSPRESSO = re.compile(r"\{\{-?\s*(must_env|env)[\s(]+[`\"'](\w+)")
_LOOKED_UP = re.compile(r"\{\{-?\s*(tfstate|tfstatef|ssm|secretsmanager_arn|cfn_output|cfn_export)\b")
_ANSWERS = {"taskDefinition": "describe-task-definition", "services": "describe-services", "service": "create-service"}


def on_broken_json(text: str, offset: int) -> str:
    """Say what to do about text that is not JSON from the offset on, "" where nothing is known."""
    if _COMMENT.match(text, offset):
        return "JSON has no comments: write {# … #}, which is left out of what is rendered"
    comma = text.rfind(",", 0, offset + 1)  # Python 3.13 tells the comma's place, those before what follows it
    if comma >= 0 and (match := _TRAILING.match(text, comma)) and offset < match.end():
        return "leave out the comma before it"
    return ""


def on_failed_line(line: str) -> str:
    """Say how it is written here, where the template's line is in another tool's language; else ""."""
    if match := _ECSPRESSO.search(line):
        call, name = match.groups()
        how = f'{{{{ env_var("{name}") }}}}'
        return f"`{call}` is ecspresso's: write {how}, or give it in envs/ and write {{{{ vars.name }}}}"
    if match := _LOOKED_UP.search(line):
        return f"`{match[1]}` is ecspresso's: put the value into envs/, and write {{{{ vars.name }}}}"
    return ""


def on_no_object(value: Any) -> str:
    """Say what to do about a document that is no object."""
    if isinstance(value, list) and value and all(isinstance(each, Mapping) and "image" in each for each in value):
        return 'these are containers: write {"containerDefinitions": [ … ]} around them'
    return "write one object: { … }"


def on_pasted_answer(value: Mapping[str, Any]) -> tuple[str, str] | None:
    """Tell a whole answer of the AWS CLI, and what to do about it; None where it is none."""
    for key, command in _ANSWERS.items():
        inner = value.get(key)
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(inner, Mapping):
            what = f"this is the output of `aws ecs {command}`"
            return what, f'keep what stands in "{key}", without the keys that only ECS writes'
    return None


def without_nulls(value: Any) -> Any:
    """Return the value without the keys whose value is null; a null in a list stays where it is, and is refused."""
    match value:
        case dict():
            return {key: without_nulls(each) for key, each in value.items() if each is not None}
        case list():
            return [without_nulls(each) for each in value]
        case _:
            return value
