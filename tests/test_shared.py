"""What the commands of one process share is what each would have made for itself."""

import copy
from pathlib import Path

import boto3
from botocore.errorfactory import ClientExceptionsFactory
from invoke.parser import Argument

from deploytasks import namespace
from tests.shared import EXCEPTIONS

ROOT = Path(__file__).resolve().parents[1]


def test_a_copied_argument_is_what_a_deep_copy_is_and_shares_no_value():
    share = Argument.__deepcopy__
    arguments = [each for context in namespace(ROOT).to_contexts() for each in context.args.values()]
    cheap = copy.deepcopy(arguments)
    try:
        del Argument.__deepcopy__
        whole = copy.deepcopy(arguments)
    finally:
        Argument.__deepcopy__ = share
    assert len(arguments) > 100 and list(map(vars, cheap)) == list(map(vars, whole))
    lists = [(one, copied) for one, copied in zip(arguments, cheap, strict=True) if isinstance(one.value, list)]
    assert all(one._value is not copied._value for one, copied in lists)


def test_every_session_has_the_same_exceptions_and_they_are_those_of_the_model():
    one, other = (boto3.Session(region_name="us-east-1").client("ecs") for _ in range(2))
    assert one.exceptions is other.exceptions is EXCEPTIONS.create_client_exceptions(one.meta.service_model)
    alone = ClientExceptionsFactory().create_client_exceptions(one.meta.service_model)
    assert {name for name in vars(type(alone)) if name != "__module__"} <= set(dir(one.exceptions))
