"""A project for template tests: tenant mb's dev and prod, one service, whatever settings and templates a test wants."""

from pathlib import Path
from typing import Any

from deploytasks.model import Access, Environment, Image, Project, Registry, Service, Target, Tier

ROOT = Path(__file__).parent.parent
ACCESS = Access("222222222222", "eu-central-1")
SETTINGS: dict[str, Any] = {
    "cpu": 256,
    "memory": 512,
    "env": {"LOG_LEVEL": "info"},
    "secrets": {"DATABASE_URL": "arn:db"},
    "vars": {"port": 8080, "subnets": ["subnet-1", "subnet-2"]},
}

DEFINITION = """\
{#- The task definition of api. -#}
{
  "family": "{{ family }}",
  "requiresCompatibilities": ["{{ vars.launch_type | default('FARGATE') }}"],
  "networkMode": "{{ vars.network_mode | default('awsvpc') }}",
  "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
  "cpu": "{{ cpu }}",
  "memory": "{{ memory }}",
  "executionRoleArn": "arn:aws:iam::{{ account }}:role/{{ vars.execution_role | default('ecsTaskExecutionRole') }}",
  "containerDefinitions": [
    {
      "name": "{{ service }}",
      "image": "{{ image }}",
      "portMappings": [{"containerPort": {{ vars.port }}}],
      "environment": {{ dict(env, PORT=vars.port, TENANT=tenant, TIER=tier) | environment }},
      "secrets": {{ secrets | secrets }},
      "logConfiguration": {
        "logDriver": "awslogs",
        "options": {
          "awslogs-group": "/ecs/{{ family }}",
          "awslogs-create-group": "true",
          "awslogs-region": "{{ region }}",
          "awslogs-stream-prefix": "{{ service }}"
        }
      }
    }
  ]
}
"""
"""A template of a RegisterTaskDefinition request."""

SERVICE = """\
{#- The ECS service of api. -#}
{
  "desiredCount": {{ vars.desired_count | default(1) }},
  "launchType": "{{ vars.launch_type | default('FARGATE') }}",
  {%- if vars.network_mode | default('awsvpc') == 'awsvpc' %}
  "networkConfiguration": {
    "awsvpcConfiguration": {
      "subnets": {{ vars.subnets }},
      "securityGroups": {{ vars.security_groups | default([]) }},
      "assignPublicIp": "{{ vars.assign_public_ip | default('DISABLED') }}"
    }
  },
  {%- endif %}
  "deploymentConfiguration": {
    "deploymentCircuitBreaker": {"enable": true, "rollback": true},
    "minimumHealthyPercent": 100,
    "maximumPercent": 200
  },
  "propagateTags": "TASK_DEFINITION"
}
"""
"""A template of a CreateService request."""


def target(tier: str = "dev", tenant: str = "mb", **settings: Any) -> Target:
    environment = Environment(tenant, tier)
    family = f"shop-{environment}-api"
    return Target(
        environment,
        "api",
        {"api": "registry.example/shop/api"},
        ACCESS,
        f"{tenant}-{tier}",
        "api",
        family,
        **(SETTINGS | settings),
    )


def project(root: Path, *targets: Target) -> Project:
    return Project(
        root=root,
        name="shop",
        registry=Registry(Access("012345678922", "us-east-1"), "registry.example"),
        images=(Image("api", "shop/api"),),
        services=(Service("api", "api"),),
        tiers=(Tier("dev", "mutable", pin="tag"), Tier("prod", "immutable", after="dev")),
        tenants=("mb",),
        targets=targets or (target(),),
    )


def write(root: Path, template: str, service: str | None = None, **others: str) -> Path:
    """The templates of api belong under the root; `others` are further files there, named without `.j2`."""
    folder = root / "templates"
    folder.mkdir(exist_ok=True)
    files = {"api.json": template, **others} | ({"api.service.json": service} if service is not None else {})
    for name, text in files.items():
        (folder / f"{name}.j2").write_text(text)
    return root
