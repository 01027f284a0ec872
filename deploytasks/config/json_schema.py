"""The grammar of `schema.py` as JSON Schema, by which editors complete and check the files of envs/.

The schemas are files of the repository, outside envs/: they are no config, so a new version of them is no new config.
"""

from collections.abc import Mapping
from json import dumps
from typing import Any, Literal

from msgspec import Struct, json

from deploytasks.config.schema import (
    ImageTable,
    JobSettings,
    JobTable,
    Layer,
    NotifyTable,
    ProjectFile,
    ProjectTable,
    RegistryTable,
    ServiceSettings,
    ServiceTable,
    Settings,
    Tenant,
    TierTable,
)

Kind = Literal["project", "tenant"]
FILES: Mapping[Kind, str] = {
    "project": ".deploytasks/project.schema.json",
    "tenant": ".deploytasks/tenant.schema.json",
}
"""Where the schema of each kind of file lies, below the root."""

_OF_SERVICES = {"ecs_service": "The ECS service's name; by default the service's own."}
_OF_JOBS = {
    "schedule_role": "The role by which EventBridge Scheduler starts the job's tasks; required with `schedule`.",
    "rule": "An existing EventBridge rule that starts the job, in place of `schedule`.",
}
_RUNS = {
    "image": "The image that it runs; by default the one of the same name, or the only one.",
    "uses": "Further images that its template names: {{ images.nginx }}.",
}
MEANINGS: Mapping[type[Struct], Mapping[str, str]] = {
    ProjectFile: {
        "project": "The project itself.",
        "registry": "The one ECR that all tenants share.",
        "images": "One table an image: how it is built. It may be empty.",
        "services": "One table a service: what runs as an ECS service in each environment. It may be empty.",
        "jobs": "One table a job: what runs as one-off or scheduled tasks, without an ECS service. It may be empty.",
        "tiers": "One table a tier, at most five. Exactly one has no `after`: the first, which builds.",
        "defaults": "Settings of every environment: every key of a tenant's file but `tiers`.",
        "notify": "A webhook that gets a message at the start and the end of every release.",
    },
    ProjectTable: {"name": "Part of lock paths and families, so that two repositories in one account never meet."},
    RegistryTable: {
        "account": "The registry's AWS account.",
        "region": "The registry's region.",
        "profile": "The profile whose credentials are taken; by default the default chain's.",
        "role": "A role of the registry's account, assumed from these credentials.",
        "external_id": "Sent when the role is assumed.",
        "host": "What image names begin with; by default <account>.dkr.ecr.<region>.amazonaws.com.",
    },
    NotifyTable: {"webhook": "A webhook that takes Slack's JSON."},
    ImageTable: {
        "repository": "Its ECR repository, of this image alone; by default <project>/<image>.",
        "context": "The build context, relative to the root, in the commit that is built.",
        "dockerfile": "Relative to the context.",
        "platforms": "Must fit `runtimePlatform` of the templates, or Fargate's default, X86_64.",
        "builder": "By default the first that works on this machine.",
        "paths": "A commit that changes none of these, nor Dockerfile, .dockerignore and this table, builds nothing.",
        "artifacts": "Git-ignored files that belong into the image, taken from the working tree.",
    },
    ServiceTable: {
        **_RUNS,
        "after": "Within an environment, it is rolled out after these services.",
        "before_deploy": "One-off tasks; each must exit 0 before any service of the environment is touched.",
    },
    JobTable: {**_RUNS, "schedule": "When it runs; without one it is run by hand, or by a rule."},
    TierTable: {
        "tag": 'Which of its two tags the definition names where `pin` is "tag": the tier\'s own, which moves, or the '
        "release's.",
        "after": "The tier before: this one takes only what runs there, and never builds.",
        "pin": "Whether the definition names the image by digest or by tag.",
        "parallel": "Targets rolled out at once. With --no-wait it counts for before_deploy steps alone.",
        "timeout": "Of one rollout.",
        "soak": "How long what was rolled out must stay healthy, after every wave.",
        "on_failure": "Whether the next wave starts after a failure.",
        "settings": "Settings of this tier's environments: every key of [defaults].",
    },
    Settings: {
        "account": "The AWS account; checked against the credentials' before anything is written.",
        "region": "The AWS region.",
        "profile": "The profile whose credentials are taken; by default the default chain's.",
        "role": "A role of the target's account, assumed from these credentials.",
        "external_id": "Sent when the role is assumed.",
        "cluster": "The ECS cluster's name.",
        "family": "The task definition's family; by default <project>-<environment>-<service>.",
        "wave": "Waves are rolled out in order; 1 by default.",
        "cpu": "What the template sees as {{ cpu }}.",
        "memory": "What the template sees as {{ memory }}; a number is of MiB.",
        "absent": "Whether the environment has no such service or job.",
        "env": "The containers' environment. `false` removes an inherited variable.",
        "secrets": "Names of secrets, never the secrets. `false` removes an inherited one.",
        "vars": "Anything a template wants: {{ vars.subnets }}.",
    },
    ServiceSettings: _OF_SERVICES,
    JobSettings: _OF_JOBS,
    Layer: {
        **_OF_SERVICES,
        **_OF_JOBS,
        "services": "Settings of one service only.",
        "jobs": "Settings of one job only.",
    },
    Tenant: {"tiers": "The tiers that this tenant has, with settings of each environment. A table may be empty."},
}
"""What each key is for, by the struct that has it or inherits it."""


def line(kind: Kind) -> str:
    """Return the first line of a file of envs/ by which editors find its schema."""
    return f"#:schema ../{FILES[kind]}"


def text(kind: Kind) -> str:
    """Return the schema as it is written."""
    return dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"


def json_schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of one kind of file."""
    root: type[Struct] = ProjectFile if kind == "project" else Tenant
    schema: dict[str, Any] = _tidied(json.schema(root))
    for struct in MEANINGS:
        table = schema["$defs"].get(struct.__name__, {"properties": {}})
        for key, found in table["properties"].items():
            wanted = found.get("description", "")
            found["description"] = f"{meaning(struct, key)}\n\nWanted: {wanted}." if wanted else meaning(struct, key)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def meaning(struct: type[Struct], key: str) -> str:
    """Return what the struct's key is for."""
    return next(MEANINGS[each][key] for each in struct.__mro__ if key in MEANINGS.get(each, ()))


def _tidied(schema: Any) -> Any:
    """Return the schema without `null`, which TOML does not have, the structs' titles, and empty descriptions."""
    match schema:
        case {"anyOf": [only, {"type": "null"}], **rest}:
            return {**_tidied(only), **{key: each for key, each in rest.items() if key != "default"}}
        case dict():
            kept = {key: each for key, each in schema.items() if key != "title" or isinstance(each, dict)}
            return {key: _tidied(each) for key, each in kept.items() if (key, each) != ("description", "")}
        case list():
            return [_tidied(each) for each in schema]
    return schema
