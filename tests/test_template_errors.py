"""What is wrong with a template is said with its file, its line and the target, all of it at once, and what to do."""

import pytest

from deploytasks.errors import Invalid
from deploytasks.template.check import check_all
from deploytasks.template.render import Renderer
from tests.template_stage import DEFINITION, SERVICE, project, target, write


def said(root, template, service=None, *, environ=None, **settings):
    """What the person reads, as one text."""
    there = target(**settings)
    whole = project(write(root, template, service), there)
    renderer = Renderer(whole, environ or {})
    with pytest.raises(Invalid) as caught:
        renderer.definition(there, renderer.tried(there))
        renderer.service(there, renderer.tried(there))
    return str(caught.value)


def edited(old, new):
    assert old in DEFINITION
    return DEFINITION.replace(old, new, 1)


CASES = {
    "a name nobody knows": (
        edited("{{ cpu }}", "{{ cpuu }}"),
        "templates/api.json.j2:7: mb-dev/api: a template sees no 'cpuu'\n    did you mean 'cpu'?",
    ),
    "a name nobody knows, given to a filter": (
        edited("{{ cpu }}", "{{ cpuu | tojson }}"),
        "templates/api.json.j2:7: mb-dev/api: a template sees no 'cpuu'\n    did you mean 'cpu'?",
    ),
    "a name nobody knows, given to `environment`": (
        edited("dict(env, PORT=vars.port, TENANT=tenant, TIER=tier)", "envv"),
        "templates/api.json.j2:15: mb-dev/api: a template sees no 'envv'\n    did you mean 'env'?",
    ),
    "a name nobody knows, inside a list": (
        edited("dict(env, PORT=vars.port, TENANT=tenant, TIER=tier)", "{'A': [envv]}"),
        "templates/api.json.j2:15: mb-dev/api: a template sees no 'envv'\n    did you mean 'env'?",
    ),
    "a filter given something else": (
        edited("secrets | secrets", "service | secrets"),
        'templates/api.json.j2:16: mb-dev/api: "api" is not a map\n    give the filter a map of names and values',
    ),
    "a value that JSON has no word for": (
        edited("{{ vars.port }}", "{{ joiner() | tojson }}"),
        "templates/api.json.j2:14: mb-dev/api: a Joiner has no JSON\n    use strings, numbers, lists and maps",
    ),
    "an attribute that a value has not": (
        edited("{{ cpu }}", "{{ cpu.units }}"),
        "templates/api.json.j2:7: mb-dev/api: 256 has no 'units'",
    ),
    "broken Jinja": (
        edited("{{ cpu }}", "{% if %}"),
        "templates/api.json.j2:7: mb-dev/api: Expected an expression, got 'end of statement block'",
    ),
    "an expression that fails": (
        edited("{{ cpu }}", "{{ 1 / 0 }}"),
        "templates/api.json.j2:7: mb-dev/api: division by zero",
    ),
    "a missing comma": (
        edited('"{{ memory }}",', '"{{ memory }}"'),
        "templates/api.json.j2:9: mb-dev/api: what it renders is not JSON: Expecting ',' delimiter\n"
        '    "executionRoleArn": "arn:aws:iam::222222\n    ^',
    ),
    "nothing at all": ("{# nothing #}", "templates/api.json.j2: mb-dev/api: it renders nothing\n    \n    ^"),
    "no object": (
        "[]",
        "templates/api.json.j2:1: mb-dev/api: what it renders is not a JSON object\n    write one object: { … }",
    ),
    "a key twice": (
        edited('"name": "{{ service }}",', '"name": "{{ service }}",\n"name": "x",'),
        "templates/api.json.j2:13: mb-dev/api: containerDefinitions[0].name: the key appears twice",
    ),
    "an unknown key": (
        edited('"cpu":', '"cpux":'),
        "templates/api.json.j2:7: mb-dev/api: cpux: unknown key\n    did you mean 'cpu'?",
    ),
    "a value of no such kind": (
        edited("'FARGATE'", "'FARGAT'"),
        "templates/api.json.j2:4: mb-dev/api: requiresCompatibilities[0]: 'FARGAT' is none of its values\n"
        "    did you mean 'FARGATE'?",
    ),
    "a number where a string is due": (
        edited('"{{ cpu }}"', "{{ cpu }}"),
        'templates/api.json.j2:7: mb-dev/api: cpu: 256 where a string is due\n    write "256", in quotes',
    ),
    "null": (
        edited('"{{ cpu }}"', "null"),
        "templates/api.json.j2:2: mb-dev/api: the key 'cpu' is missing\n    Fargate requires cpu for the task",
    ),
    "no container": (
        '{"containerDefinitions": []}',
        "templates/api.json.j2:1: mb-dev/api: containerDefinitions: no container\n"
        "    one at least must run {{ image }}",
    ),
    "an image of somebody else": (
        edited("{{ image }}", "nginx"),
        "templates/api.json.j2:10: mb-dev/api: containerDefinitions: no container runs registry.example/shop/api:dev\n"
        '    give one of them "image": "{{ image }}"',
    ),
    "another family": (
        edited("{{ family }}", "other"),
        "templates/api.json.j2:3: mb-dev/api: family: 'other', but envs/ says 'shop-mb-dev-api'\n"
        "    leave it out, and envs/ decides",
    ),
    "Fargate in another network": (
        edited("'awsvpc'", "'host'"),
        "templates/api.json.j2:5: mb-dev/api: networkMode: Fargate supports only network mode awsvpc\n"
        '    write "networkMode": "awsvpc"',
    ),
    "Fargate without a size": (
        edited('  "memory": "{{ memory }}",\n', ""),
        "templates/api.json.j2:2: mb-dev/api: the key 'memory' is missing\n    Fargate requires memory for the task",
    ),
}


@pytest.mark.parametrize(("template", "message"), CASES.values(), ids=CASES)
def test_a_template_is_refused(tmp_path, template, message):
    assert said(tmp_path, template) == message


ENV_VAR = "is ecspresso's: write {{ env_var"
FOREIGN = {
    "a comment": ('{"containerDefinitions": [] // none\n}', "    JSON has no comments: write {# … #}"),
    "a comment in front": ('// mine\n{"a": 1}', "    JSON has no comments: write {# … #}"),
    "a comment between": ('{"a": 1, /* b */ "c": 1}', "    JSON has no comments: write {# … #}"),
    "a comma too many": ('{"cpu": "1",\n}', "    leave out the comma before it"),
    "ecspresso's must_env": ('{"family": "{{ must_env `IMAGE` }}"}', f'    `must_env` {ENV_VAR}("IMAGE") }}}}'),
    "ecspresso's env": ('{\n"cpu": "{{ env "CPU" "256" }}"}', f'    `env` {ENV_VAR}("CPU") }}}}'),
    "ecspresso's, called": ('{"cpu": "{{ must_env("CPU") }}"}', f'    `must_env` {ENV_VAR}("CPU") }}}}'),
    "ecspresso's tfstate": (
        '{"cpu": "{{ tfstate `x.id` }}"}',
        "    `tfstate` is ecspresso's: put the value into envs/",
    ),
    "a list of containers": (
        '[{"name": "a", "image": "b"}]',
        '    these are containers: write {"containerDefinitions": [',
    ),
    "a list of anything": ("[1]", "    write one object: { … }"),
    "a described task definition": (
        '{"taskDefinition": {"family": "a"}, "tags": []}',
        '    keep the value of "taskDefinition", without the keys that only ECS writes',
    ),
    "what only ECS writes": (
        edited('"cpu":', '"revision": 7,\n"cpu":'),
        ": revision: only ECS writes this\n    leave it out",
    ),
    "what only ECS writes, in a list": (
        edited('"cpu":', '"requiresAttributes": [],\n"cpu":'),
        ": requiresAttributes: only ECS writes this\n    leave it out",
    ),
    "an empty choice": (
        edited('"cpu":', '"ipcMode": "",\n"cpu":'),
        "ipcMode: '' is none of its values\n    leave the key out",
    ),
    "a null in a list": (edited('"family"', '"volumes": [null],\n"family"'), "volumes[0]: null where an object is due"),
}


@pytest.mark.parametrize(("template", "advice"), FOREIGN.values(), ids=FOREIGN)
def test_what_comes_from_another_tool_is_refused_with_how_it_is_written_here(tmp_path, template, advice):
    assert advice in said(tmp_path, template)


def test_the_map_env_is_not_taken_for_ecspressos(tmp_path):
    assert "ecspresso" not in said(tmp_path, '{"a": {{ env | environment }}, "b": {{ nothing }}}')


def test_a_described_service_is_refused_with_what_to_keep(tmp_path):
    whole = '{"services": [{"serviceArn": "arn:x"}], "failures": []}'
    assert "this is the output of `aws ecs describe-services`" in said(tmp_path, DEFINITION, whole)
    told = said(tmp_path, DEFINITION, '{"serviceArn": "arn:x", "events": [], "runningCount": 1, "propagateTags": ""}')
    assert [line.partition("mb-dev/api: ")[2] for line in told.splitlines()[::2]] == [
        *(f"{key}: only ECS writes this" for key in ("serviceArn", "events", "runningCount")),
        "propagateTags: '' is none of its values",
    ]


def has_nothing_wrong(root, template):
    return check_all(project(write(root, template), target())) == ()


def test_nulls_are_keys_that_are_not_there(tmp_path):
    template = edited('"name":', '"user": null, "linuxParameters": {"initProcessEnabled": null}, "name":')
    assert has_nothing_wrong(tmp_path, template.replace('"cpu"', '"ipcMode": null, "cpu"'))


def test_a_byte_order_mark_is_read_over(tmp_path):
    assert has_nothing_wrong(tmp_path, "\ufeff" + DEFINITION)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize(("name", "text"), [("api.json.j2", DEFINITION), ("api.service.json.j2", SERVICE)])
def test_another_encoding_is_refused_with_what_to_do(tmp_path, encoding, name, text):
    write(tmp_path, DEFINITION, SERVICE)
    (tmp_path / "templates" / name).write_bytes(f"{{# é #}}{text}".encode(encoding))
    (complaint,) = check_all(project(tmp_path, target()))
    assert str(complaint) == f"templates/{name}: mb-dev/api: it is not UTF-8 (UTF-16, perhaps)\n    save it as UTF-8"


def test_a_missing_template_is_named(tmp_path):
    (complaint,) = check_all(project(tmp_path))
    assert str(complaint).startswith("templates/api.json.j2: mb-dev/api: there is no templates/api.json.j2\n")


def test_a_setting_that_a_template_wants_and_envs_lacks_is_named(tmp_path):
    assert said(tmp_path, DEFINITION, cpu=None) == (
        "templates/api.json.j2:7: mb-dev/api: cpu is not set\n"
        "    set it in envs/, for all under [defaults] of envs/project.toml"
    )
    assert said(tmp_path, DEFINITION, vars={"prot": 1}) == (
        "templates/api.json.j2:14: mb-dev/api: 'port' is not set\n    did you mean 'prot'?"
    )
    assert said(tmp_path, DEFINITION, vars={}).endswith("'port' is not set\n    set it in envs/")


@pytest.mark.parametrize(
    ("cpu", "memory", "message"),
    [
        (300, 512, "cpu: Fargate has no task size with cpu 300\n    choose 256, 512, 1024, 2048, 4096, 8192 or 16384"),
        (
            "some",
            512,
            "cpu: Fargate has no task size with cpu some\n    choose 256, 512, 1024, 2048, 4096, 8192 or 16384",
        ),
        (256, 1536, "memory: Fargate has no memory 1536 for cpu 256\n    in MiB, choose 512, 1024 or 2048"),
        ("1 vCPU", "1 GB", "memory: Fargate has no memory 1 GB for cpu 1 vCPU\n    in MiB, choose 2048 to 8192 in"),
    ],
)
def test_a_size_that_fargate_has_not_is_refused_and_the_choice_told(tmp_path, cpu, memory, message):
    assert message in said(tmp_path, DEFINITION, cpu=cpu, memory=memory)


def test_all_that_does_not_fit_is_said_at_once(tmp_path):
    wrong = '"name": "{{ service }}", "essentiel": true,\n "cpu": "3", "healthCheck": {"retries": true},'
    assert said(tmp_path, edited('"name": "{{ service }}",', wrong)).splitlines() == [
        "templates/api.json.j2:12: mb-dev/api: containerDefinitions[0].essentiel: unknown key",
        "    did you mean 'essential'?",
        'templates/api.json.j2:13: mb-dev/api: containerDefinitions[0].cpu: "3" where a whole number is due',
        "    write it without the quotes",
        "templates/api.json.j2:13: mb-dev/api: containerDefinitions[0].healthCheck: the key 'command' is missing",
        "templates/api.json.j2:13: mb-dev/api: containerDefinitions[0].healthCheck.retries: "
        "true where a whole number is due",
    ]


def test_all_rules_that_are_broken_are_said_at_once(tmp_path):
    containers = """{"cpu": 1}, {"name": "a", "image": "x"}, {"name": "a", "image": "y",
      "environment": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
      "secrets": [{"name": "A", "valueFrom": "x"}]}"""
    assert said(tmp_path, f'{{"containerDefinitions": [\n{containers}]}}').splitlines() == [
        "templates/api.json.j2:2: mb-dev/api: containerDefinitions[0]: the key 'name' is missing",
        "templates/api.json.j2:2: mb-dev/api: containerDefinitions[0]: the key 'image' is missing",
        "templates/api.json.j2:3: mb-dev/api: containerDefinitions[2].environment: 'A' appears twice",
        "templates/api.json.j2:4: mb-dev/api: containerDefinitions[2].secrets: 'A' is in environment too",
        "    ECS takes a name in one of them",
        "templates/api.json.j2:1: mb-dev/api: containerDefinitions: two containers are called 'a'",
        "templates/api.json.j2:1: mb-dev/api: containerDefinitions: no container runs registry.example/shop/api:dev",
        '    give one of them "image": "{{ image }}"',
    ]


def test_a_line_behind_a_loop_is_the_templates_own_line(tmp_path):
    template = """{"containerDefinitions": [
      {% for name in ["a", "b"] %}
      {"name": "{{ name }}", "image": "x",
       "wrong": 1},
      {% endfor %}
      {"name": "c", "image": "{{ image }}",
       "wronger": 2}]}"""
    lines = [line.split(":")[1] for line in said(tmp_path, template).splitlines() if line.startswith("templates")]
    assert lines == ["4", "4", "7"]


def test_a_line_that_cannot_be_told_is_left_out(tmp_path):
    template = '{% set all %}{"wrong": 1}{% endset %}{{ all if all | length < 13 else "{}" }}'
    assert said(tmp_path, template).startswith("templates/api.json.j2: mb-dev/api: ")


def test_a_template_that_cannot_bear_marks_is_refused_all_the_same(tmp_path):
    template = '{% set key %}port{% endset %}{"wrong": {{ vars[key] }}}'
    assert said(tmp_path, template).splitlines()[1].endswith("wrong: unknown key")


def test_an_error_in_an_included_file_names_that_file(tmp_path):
    (write(tmp_path, "") / "templates" / "part.j2").write_text("\n\n{{ nobody }}")
    assert said(tmp_path, "{% include 'part.j2' %}").startswith("templates/part.j2:3: mb-dev/api: a template sees no")


def test_a_missing_file_is_told_where_it_is_included(tmp_path):
    assert said(tmp_path, "\n{% include 'part.j2' %}") == (
        "templates/api.json.j2:2: mb-dev/api: there is no templates/part.j2\n"
        "    write it, or correct its name where it is included"
    )


def test_a_service_template_is_checked_too(tmp_path):
    unknown = said(tmp_path, DEFINITION, '{"desiredCont": 1}')
    assert unknown == (
        "templates/api.service.json.j2:1: mb-dev/api: desiredCont: unknown key\n    did you mean 'desiredCount'?"
    )
    broken = said(tmp_path, DEFINITION, "{% if %}")
    assert broken.startswith("templates/api.service.json.j2:1: mb-dev/api: Expected an expression")


def test_a_service_template_agrees_with_envs_and_names_no_revision(tmp_path):
    text = '{"serviceName": "web", "cluster": "c", "taskDefinition": "x"}'
    assert [line.partition("mb-dev/api: ")[2] for line in said(tmp_path, DEFINITION, text).splitlines()[::2]] == [
        "serviceName: 'web', but envs/ says 'api'",
        "cluster: 'c', but envs/ says 'mb-dev'",
        "taskDefinition: the revision is set here",
    ]


def test_what_came_from_the_environment_is_never_shown(tmp_path):
    template = edited("'awsvpc'", "env_var('TOKEN')")
    message = said(tmp_path, template, environ={"TOKEN": "hunter2-hunter2"})
    assert "networkMode: '***' is none of its values" in message
    broken = edited('"{{ memory }}",', '"{{ env_var("TOKEN") }}" "x"')
    assert "hunter2" not in said(tmp_path, broken, environ={"TOKEN": "hunter2-hunter2"})


def test_the_check_of_a_good_project_has_nothing_to_say(tmp_path):
    whole = project(write(tmp_path, DEFINITION, SERVICE), target(), target("prod", "acme"))
    assert check_all(whole) == ()


def test_the_check_says_the_same_complaint_once_for_all_its_targets(tmp_path):
    targets = [target(tenant=f"t{number}") for number in range(5)]
    complaints = check_all(project(write(tmp_path, edited('"cpu":', '"cpux":')), *targets, target(vars={})))
    assert [complaint.where for complaint in complaints] == [
        "templates/api.json.j2:7: t0-dev/api, t1-dev/api, t2-dev/api and 2 more",
        "templates/api.json.j2:14: mb-dev/api",
    ]
