"""What a template takes by `env_var` is never shown, however it went through filters, was cut, or was refused."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from deploytasks.errors import Invalid
from deploytasks.model import Hidden, hidden_in, masked
from deploytasks.report.masking import masked as shown
from deploytasks.template.render import Renderer
from tests.template_stage import project, target, write

SECRET = 'pa"ss\\w0rd-ÄÖ-' + "x" * 90
BASE = """{
  "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "{{ cpu }}", "memory": "{{ memory }}",
  "executionRoleArn": "arn:aws:iam::222222222222:role/execution",
  %s
  "containerDefinitions": [{"name": "api", "image": "{{ image }}", "essential": true%s}]
}"""


def rendered(root: Any, template: str, environ: Mapping[str, str]) -> dict[str, Any]:
    made = project(write(root, template))
    where = target()
    renderer = Renderer(made, environ)
    return renderer.definition(where, renderer.tried(where))


def parts(secret: str, size: int = 6) -> list[str]:
    return [secret[at : at + size] for at in range(len(secret) - size + 1)]


REFUSED = {
    "an enum": BASE % ('"pidMode": {{ env_var("TOKEN") | tojson }},', ""),
    "upper": BASE % ('"pidMode": {{ env_var("TOKEN") | upper | tojson }},', ""),
    "cut": BASE % ('"pidMode": {{ env_var("TOKEN")[2:40] | tojson }},', ""),
    "reversed": BASE % ('"pidMode": {{ env_var("TOKEN") | reverse | tojson }},', ""),
    "set before": BASE % ('{% set it = env_var("TOKEN") | lower %}"pidMode": {{ it | tojson }},', ""),
    "a macro": BASE % ('{% macro of(x) %}{{ x | tojson }}{% endmacro %}"pidMode": {{ of(env_var("TOKEN")) }},', ""),
    "an unknown key": BASE % ('{{ env_var("TOKEN") | tojson }}: 1,', ""),
    "a quote that ends the text": BASE % ('"pidMode": "{{ env_var("TOKEN") }}",', ""),
    "no JSON behind it": BASE % ('"pidMode": {{ env_var("TOKEN") | tojson }} oops,', ""),
    "an error's words": BASE % ('"pidMode": "{{ vars[env_var("TOKEN")] }}",', ""),
    "a missing file": BASE % ('{% include env_var("TOKEN") %}', ""),
    "a number": BASE % ('"pidMode": "{{ env_var("TOKEN") | int("x") + 1 }}",', ""),
    "a container's name": BASE
    % ("", ', "dependsOn": [{"containerName": {{ env_var("TOKEN") | tojson }}, "condition": "START"}]'),
    "a port": BASE % ("", ', "portMappings": [{"containerPort": 80, "hostPort": {{ env_var("TOKEN") | length }}}]'),
    "a size": (BASE % ("", "")).replace("{{ cpu }}", '{{ env_var("TOKEN") | length }}'),
    "a tag": BASE % ('"tags": [{"key": {{ env_var("TOKEN") | tojson }}, "value": "#"}],', ""),
}


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED)
def test_no_complaint_shows_any_part_of_it(tmp_path, template: str):
    with pytest.raises(Invalid) as caught:
        rendered(tmp_path, template, {"TOKEN": SECRET})
    told = str(caught.value)
    for form in (SECRET, SECRET.upper(), SECRET.lower(), SECRET[::-1], json.dumps(SECRET)):
        assert not [part for part in parts(form) if part in told], told
    assert told.startswith("templates/api.json.j2:")
    assert str(len(SECRET)) not in told.replace("templates/api.json.j2", "")


def test_a_complaint_that_has_nothing_to_do_with_it_keeps_its_words(tmp_path):
    template = BASE % ('"pidMode": {{ env_var("TOKEN") | tojson }}, "cpux": "1",', "")
    with pytest.raises(Invalid) as caught:
        rendered(tmp_path, template, {"TOKEN": SECRET})
    assert "cpux: unknown key\n    did you mean 'cpu'?" in str(caught.value)
    assert "pidMode: '***' is none of its values" in str(caught.value)


def test_a_variable_that_is_not_set_is_named(tmp_path):
    with pytest.raises(Invalid, match="the environment variable TOKEN is not set"):
        rendered(tmp_path, BASE % ('"pidMode": {{ env_var("TOKEN") | tojson }},', ""), {})


MADE = (
    ', "environment": [{"name": "MODE", "value": {{ env_var("TOKEN") | upper | tojson }}},'
    ' {"name": "OPEN", "value": "1"}],'
    '"command": ["serve", {{ ("--key=" ~ env_var("TOKEN"))[:20] | tojson }}],'
    '"dockerLabels": {"fixed": "open", {{ env_var("TOKEN")[:12] | tojson }}: "x"},'
    '"portMappings": [{"containerPort": {{ env_var("PORT") | int + 1 }}}]'
)
GIVEN = {"TOKEN": SECRET, "PORT": "8080"}


def test_what_is_made_from_it_is_marked_and_nothing_else_is(tmp_path):
    made = rendered(tmp_path, BASE % ("", MADE), GIVEN)
    (container,) = made["containerDefinitions"]
    mode, other = container["environment"]
    assert isinstance(mode["value"], Hidden) and mode["value"] == SECRET.upper()
    assert not isinstance(other["value"], Hidden)
    assert {SECRET, "8080", SECRET.upper(), f"--key={SECRET}"[:20], "8081", SECRET[:12], "x"} == hidden_in(made)
    assert json.loads(json.dumps(made))["containerDefinitions"][0]["portMappings"] == [{"containerPort": 8081}]


def test_a_diff_shows_neither_the_old_value_nor_the_new_one(tmp_path):
    after = rendered(tmp_path, BASE % ("", MADE), GIVEN)
    before = json.loads(json.dumps(rendered(tmp_path, BASE % ("", MADE), {"TOKEN": "former-value", "PORT": "9"})))
    told = json.dumps(shown(before, after), ensure_ascii=False)
    for secret in (SECRET, SECRET.upper(), "former-value", "FORMER-VALUE"):
        assert not [part for part in parts(secret) if part in told], told
    assert "8081" not in told and '"containerPort": "*** (after)"' in told
    assert '"dockerLabels": {"fixed": "open", "*** (before)": "***"}' in told


def test_what_takes_no_variable_is_rendered_once(tmp_path, monkeypatch: pytest.MonkeyPatch):
    made = project(write(tmp_path, BASE % ("", "")))
    renderer, where = Renderer(made, GIVEN), target()
    assert hidden_in(renderer.definition(where, renderer.tried(where))) == frozenset()
    assert "_stand_ins" not in vars(renderer)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is hunter22-hunter22.", "it is ***."),
        ("it is hunter22-hun", "it is ***"),
        ("…ter22-hunter22 it is", "…*** it is"),
        ("hunter2 is short", "hunter2 is short"),
    ],
)
def test_a_secret_is_known_again_where_it_was_cut(text: str, expected: str):
    assert masked(text, ["hunter22-hunter22"]) == expected
