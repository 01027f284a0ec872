"""Templates become the requests that ECS takes."""

import json
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from deploytasks.errors import Invalid
from deploytasks.model import DesiredImage, Image, image_name, placeholder
from deploytasks.template.check import rendered
from deploytasks.template.language import SEEN, Loader, environment, to_json
from deploytasks.template.render import Renderer
from tests.template_stage import DEFINITION, project, target, write

IMAGE = "registry.example/shop/api@sha256:" + "a" * 64
DESIRED = DesiredImage(
    "api", "shop/api", commit_tag="c" * 40, digest="sha256:" + "a" * 64, release="prod-20260101T000000Z"
)

BARE = '{"containerDefinitions": [{"name": "api", "image": "{{ image }}", "memory": 128 %s}] %s}'


def definition(root, template, where=None, environ=None, **others):
    renderer = Renderer(project(write(root, template, **others)), environ or {})
    return renderer.definition(where or target(), DESIRED)


def labels(root, **expressions):
    """What each expression writes, between quotes, as a label of the container."""
    text = ", ".join(f'"{name}": "{{{{ {expression} }}}}"' for name, expression in expressions.items())
    return definition(root, BARE % (f', "dockerLabels": {{{text}}}', ""))["containerDefinitions"][0]["dockerLabels"]


def test_a_service_without_a_template_of_its_own_is_never_created(tmp_path):
    assert Renderer(project(write(tmp_path, DEFINITION))).service(target(), DESIRED) is None


def test_a_template_sees_who_and_what_it_is_rendered_for(tmp_path):
    plain = {name: name for name in SEEN if name not in {"image", "images", "env", "secrets", "vars", "env_var"}}
    assert labels(tmp_path, **plain) == {
        **{"project": "shop", "tenant": "mb", "tier": "dev", "environment": "mb-dev", "service": "api"},
        **{"commit": "c" * 40, "release": "prod-20260101T000000Z", "family": "shop-mb-dev-api"},
        **{"cpu": "256", "memory": "512"},
        **{"account": "222222222222", "region": "eu-central-1", "cluster": "mb-dev"},
    }


def test_tenant_main_is_shown_as_the_bare_tier(tmp_path):
    template = BARE % ("", ', "taskRoleArn": "{{ tenant }} {{ environment }}"')
    assert definition(tmp_path, template, target(tenant="main"))["taskRoleArn"] == "main dev"


def test_lists_maps_true_and_null_are_written_as_json_and_strings_as_they_are(tmp_path):
    template = "{{ [vars.subnets, {'a': true}, none, 1, 'x' == 'x'] }}"
    text = environment(Loader(tmp_path), str).from_string(template).render(vars=target().vars)
    assert text == '[["subnet-1", "subnet-2"], {"a": true}, null, 1, true]'


def test_tojson_quotes_text_and_leaves_html_alone(tmp_path):
    template = BARE % (', "dockerLabels": {"motd": {{ vars.motd | tojson }}}', "")
    text = 'say "hällo" <b>&\n'
    shown = definition(tmp_path, template, target(vars=MappingProxyType({"motd": text})))
    assert shown["containerDefinitions"][0]["dockerLabels"]["motd"] == text


def test_a_variable_that_is_no_string_becomes_its_json(tmp_path):
    template = BARE % (', "environment": {{ vars.extra | environment }}', "")
    shown = definition(tmp_path, template, target(vars={"extra": {"A": True, "B": 1, "C": ["x"]}}))
    values = [each["value"] for each in shown["containerDefinitions"][0]["environment"]]
    assert values == ["true", "1", '["x"]']


def test_an_environment_variable_enters_by_env_var(tmp_path):
    template = BARE % ("", ', "taskRoleArn": "{{ env_var("ROLE") }}"')
    assert definition(tmp_path, template, environ={"ROLE": "arn:role"})["taskRoleArn"] == "arn:role"


def test_an_unset_environment_variable_fails_loudly(tmp_path):
    with pytest.raises(Invalid, match="the environment variable ROLE is not set"):
        definition(tmp_path, BARE % ("", ', "taskRoleArn": "{{ env_var("ROLE") }}"'))


def test_a_template_may_include_another(tmp_path):
    shown = definition(tmp_path, BARE % (", {% include 'user.j2' %}", ""), user='"user": "{{ tenant }}"')
    assert shown["containerDefinitions"][0]["user"] == "mb"


def test_no_file_outside_templates_can_be_read(tmp_path):
    (tmp_path / "secret").write_text('"user": "root"')
    with pytest.raises(Invalid, match=r"there is no templates/\.\./secret"):
        definition(tmp_path, BARE % (", {% include '../secret' %}", ""))


def test_a_template_cannot_reach_into_python(tmp_path):
    with pytest.raises(Invalid, match="unsafe"):
        definition(tmp_path, BARE % (', "user": "{{ service.__class__.__mro__ }}"', ""))


def test_a_template_cannot_change_what_other_targets_see(tmp_path):
    with pytest.raises(Invalid, match="unsafe"):
        definition(tmp_path, BARE % ("{% if env.update({'A': '1'}) %}{% endif %}", ""))


def test_many_threads_render_the_same_as_one(tmp_path):
    targets = [target(cpu=256, env={"N": str(number)}) for number in range(200)]
    renderer = Renderer(project(write(tmp_path, DEFINITION), *targets))
    with ThreadPoolExecutor(8) as pool:
        rendered = list(pool.map(lambda each: renderer.definition(each, DESIRED), targets))
    numbers = [each["containerDefinitions"][0]["environment"][0]["value"] for each in rendered]
    assert numbers == [str(number) for number in range(200)]


def test_what_is_rendered_survives_a_trip_through_json(tmp_path):
    shown = definition(tmp_path, DEFINITION)
    assert json.loads(json.dumps(shown)) == shown


@pytest.mark.parametrize(
    ("tier", "release", "name"),
    [
        ("dev", None, "registry.example/shop/api:dev"),
        ("prod", None, "registry.example/shop/api@sha256:" + "a" * 64),
    ],
)
def test_an_image_is_named_as_the_tier_pins_it(tmp_path, tier, release, name):
    whole = project(tmp_path)
    assert image_name(target(tier), whole.tier(tier), DESIRED) == name


def test_an_immutable_tier_pinned_to_its_tag_names_the_release_and_before_that_the_commit(tmp_path):
    whole = project(tmp_path)
    tier = replace(whole.tier("prod"), pin="tag")
    assert image_name(target("prod"), tier, DESIRED).endswith("shop/api:prod-20260101T000000Z")
    assert image_name(target("prod"), tier, replace(DESIRED, release=None)).endswith(f"shop/api:{'c' * 40}")


def test_a_target_is_shown_with_an_image_that_nobody_built(tmp_path):
    whole = project(write(tmp_path, DEFINITION))
    (container,) = rendered(whole, [target("prod")])["api"]["containerDefinitions"]
    assert container["image"] == "registry.example/shop/api@sha256:" + "0" * 64


def test_the_placeholder_is_an_image_that_nobody_built():
    desired = placeholder(Image("api", "shop/api"))
    assert (desired.repository, desired.commit_tag, desired.digest) == ("shop/api", "0" * 40, "sha256:" + "0" * 64)


def test_maps_that_cannot_be_changed_have_json_too():
    frozen = MappingProxyType({"a": MappingProxyType({"b": (1,)})})
    assert to_json(frozen) == '{"a": {"b": [1]}}'
