"""Merged settings as people read them: each value with the file and line it came from."""

from pathlib import Path

from deploytasks.config.layers import settings
from deploytasks.config.load import load
from tests.envs_files import MB, PROJECT, only_target

REPOSITORY = Path(__file__).parent.parent


def shown(root, target):
    return {key: (value, str(origin) if origin else None) for key, value, origin in settings(root, target)}


def test_each_setting_has_its_value_and_place(tmp_path):
    project = PROJECT + '[defaults.env]\nLOG = "info"\n"a.b" = 1\n'
    mb = 'secrets.DB = "/db"\nvars.subnets = ["a", "b"]\nvars.deep = { x = 1.5, on = true, none = {} }\n' + MB
    assert shown(tmp_path, only_target(tmp_path, project, mb + 'services.api.cpu = "1 vCPU"\n')) == {
        "account": ("222222222222", "envs/mb.toml:4: account"),
        "region": ("us-east-1", "envs/mb.toml:5: region"),
        "cluster": ("mb-prod", "envs/mb.toml:6: cluster"),
        "ecs_service": ("api", None),
        "family": ("shop-mb-prod-api", None),
        "wave": ("1", None),
        "cpu": ("1 vCPU", "envs/mb.toml:9: tiers.prod.services.api.cpu"),
        "env.LOG": ("info", "envs/project.toml:14: defaults.env.LOG"),
        'env."a.b"': ("1", 'envs/project.toml:15: defaults.env."a.b"'),
        "secrets.DB": ("/db", "envs/mb.toml:1: secrets.DB"),
        "vars.subnets": ('["a", "b"]', "envs/mb.toml:2: vars.subnets"),
        "vars.deep.x": ("1.5", "envs/mb.toml:3: vars.deep.x"),
        "vars.deep.on": ("true", "envs/mb.toml:3: vars.deep.on"),
        "vars.deep.none": ("{}", None),
    }


def test_every_value_of_the_files_we_ship_is_found_at_a_line():
    for target in load(REPOSITORY).targets:
        places = [origin for _, _, origin in settings(REPOSITORY, target) if origin]
        assert all(place.line for place in places)
        assert {place.file for place in places} == {"envs/project.toml", f"envs/{target.environment.tenant}.toml"}
