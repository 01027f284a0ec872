"""docs/rights.md names every right that is needed, and none that is not."""

import ast
import re
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.session import get_session

import deploytasks
from deploytasks.aws.responses import OPERATIONS

AWS = Path(deploytasks.__file__).parent / "aws"
DOCUMENT = (AWS.parents[1] / "docs/rights.md").read_text()
ASKED_OTHERWISE = {
    *("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),  # by a push
    *("ecr:BatchCheckLayerAvailability",),  # by a push, and by a base image's pull
    *("iam:PassRole", "kms:Decrypt", "sts:ExternalId", "iam:PassedToService"),
}

NEED_NO_RIGHT = {"sts:GetCallerIdentity"}


def names_in(file: Path) -> set[str]:
    """Every attribute and every text that stands in the file."""
    found = (getattr(node, "attr", getattr(node, "value", None)) for node in ast.walk(ast.parse(file.read_text())))
    return {name for name in found if isinstance(name, str)}


def operations_of(service: str) -> dict[str, str]:
    """The service's operations, by the names of boto's methods."""
    return {xform_name(name): name for name in get_session().get_service_model(service).operation_names}


def services_of(file: Path) -> set[str]:
    """The services whose clients the file asks for: `clients.of("ecs", ...)`, or a partial of that."""
    return set(re.findall(r'\bclients\.of(?:\(|, )"(\w+)"', file.read_text()))


def test_every_operation_that_is_called_is_listed_with_what_is_read_of_its_answer():
    """A call in any file of aws/ that the table does not list fails here, and every listed one is called."""
    written = {name for file in AWS.glob("*.py") for name in names_in(file)}
    called = {operation for each in OPERATIONS for name, operation in operations_of(each).items() if name in written}
    assert called == {name for operations in OPERATIONS.values() for name in operations}


def test_every_service_that_is_asked_is_listed():
    assert {name for file in AWS.parent.rglob("*.py") for name in services_of(file)} <= set(OPERATIONS)


@pytest.mark.parametrize("service", OPERATIONS)
def test_what_is_read_of_an_answer_is_a_member_of_it(service: str):
    model = get_session().get_service_model(service)
    for name, members in OPERATIONS[service].items():
        shape = model.operation_model(name).output_shape
        assert not members or set(members) <= set(shape.members), name


def test_the_rights_are_the_calls_that_are_made():
    needed = {f"{service}:{name}" for service, names in OPERATIONS.items() for name in names} - NEED_NO_RIGHT
    named = set(re.findall(r"\b(?:ecs|ecr|ssm|logs|iam|sts|kms|secretsmanager):[A-Z][a-z]\w+", DOCUMENT))
    assert named - ASKED_OTHERWISE == needed
