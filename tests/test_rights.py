"""docs/rights.md names every right that is needed, and none that is not."""

import ast
import re
from pathlib import Path

from botocore import xform_name
from botocore.session import get_session

import deploytasks
from deploytasks.aws.session import ECS_OPERATIONS

AWS = Path(deploytasks.__file__).parent / "aws"
DOCUMENT = (AWS.parents[1] / "docs/rights.md").read_text()
ASKED_OTHERWISE = {
    *("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),  # by a push
    *("ecr:BatchCheckLayerAvailability",),  # by a push, and by a base image's pull
    *("iam:PassRole", "kms:Decrypt", "sts:ExternalId", "iam:PassedToService"),
}


def called(service: str, *rooms: str) -> set[str]:
    """The operations of a service whose names stand in these rooms of aws/, as calls or as paginators."""
    known = {xform_name(name): name for name in get_session().get_service_model(service).operation_names}
    found = {
        known[name]
        for room in rooms
        for node in ast.walk(ast.parse((AWS / f"{room}.py").read_text()))
        if (name := getattr(node, "attr", getattr(node, "value", None))) in known
    }
    return {f"{service}:{name}" for name in found}


def test_the_rights_are_the_calls_that_are_made():
    needed = {
        *(f"ecs:{name}" for name in ECS_OPERATIONS),
        *called("ecr", "ecr", "repositories", "image_config"),
        *called("ssm", "locks", "holds", "overrides", "secrets", "existence"),
        *called("secretsmanager", "secrets", "existence"),
        *called("iam", "existence"),
        *called("logs", "logs", "tasks"),
        *called("sts", "roles"),
    }
    named = set(re.findall(r"\b(?:ecs|ecr|ssm|logs|iam|sts|kms|secretsmanager):[A-Z][a-z]\w+", DOCUMENT))
    assert named - ASKED_OTHERWISE == needed
