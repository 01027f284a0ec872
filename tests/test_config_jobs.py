"""Jobs in `envs/`: what runs from an image without a service, what starts it, and each complaint about that."""

from typing import Any

import pytest

from deploytasks.config import select
from deploytasks.config.json_schema import json_schema
from deploytasks.config.layers import settings
from deploytasks.config.load import load
from deploytasks.errors import Invalid
from deploytasks.model import Job, JobSettings, Origin, Scope
from tests.envs_files import FILLED, MB, PROJECT, loaded, refusal, write

ROLE = 'schedule_role = "arn:aws:iam::222222222222:role/scheduler"\n'
NIGHTLY = PROJECT + '[jobs.nightly]\nschedule = "cron(0 3 * * ? *)"\n'
BY_HAND = PROJECT + "[jobs.nightly]\n"
"""Line 13 is the job, line 14 its first key."""


def job(root: Any, project: str = NIGHTLY, mb: str = ROLE + MB) -> Any:
    """The job's settings in mb-prod."""
    return next(each.job for each in loaded(root, project, mb=mb).targets if str(each) == "mb-prod/nightly")


def test_a_job_is_a_target_after_the_services_of_its_environment(tmp_path):
    project = loaded(tmp_path, NIGHTLY + "[services.worker]\n", mb=ROLE + MB)
    shown = ["mb-dev/api", "mb-dev/worker", "mb-dev/nightly", "mb-prod/api", "mb-prod/worker", "mb-prod/nightly"]
    assert [str(target) for target in project.targets] == shown
    assert project.jobs == (Job("nightly", "api", schedule="cron(0 3 * * ? *)"),)
    made = project.targets[-1]
    assert (made.ecs_service, made.family, made.cluster) == ("", "shop-mb-prod-nightly", "mb-prod")
    assert made.images == {"api": "000000000000.dkr.ecr.us-east-1.amazonaws.com/shop/api"}
    assert made.job == JobSettings("cron(0 3 * * ? *)", "arn:aws:iam::222222222222:role/scheduler")
    assert [target.job for target in project.targets if target.name != "nightly"] == [None] * 4


def test_a_job_alone_may_run_an_image_and_name_others(tmp_path):
    project = PROJECT + '[images.report]\n[images.fonts]\n[jobs.report]\nuses = ["fonts", "api"]\n'
    made = loaded(tmp_path, project).targets[-1]
    assert (str(made), list(made.images)) == ("mb-prod/report", ["report", "fonts", "api"])


def test_a_job_without_a_schedule_is_run_by_hand(tmp_path):
    assert job(tmp_path, BY_HAND, MB) == JobSettings()


def test_a_rules_name_is_filled_in(tmp_path):
    mb = MB + 'jobs.nightly.rule = "{tenant}.{tier}-{service}"\n'
    assert job(tmp_path, BY_HAND, mb) == JobSettings(rule="mb.prod-nightly")


@pytest.mark.parametrize("apart", ["", "{tenant}-{tier}"])
def test_jobs_of_one_cluster_are_no_ecs_services_that_could_meet(tmp_path, apart):
    loaded(tmp_path, BY_HAND + "[jobs.weekly]\n", mb=MB.replace("{tenant}-{tier}", apart or "shared-{tier}"))


@pytest.mark.parametrize("size", range(1, 9))
def test_the_last_layer_of_a_job_that_speaks_wins_and_is_no_service_s(tmp_path, size):
    role = 'schedule_role = "arn:aws:iam::222222222222:role/{}"\n'
    places = ["[defaults]", "[defaults.jobs.nightly]", "[tiers.prod.settings]", "[tiers.prod.settings.jobs.nightly]"]
    project, ordinary = NIGHTLY, MB.split("[tiers.dev]")[0]
    top, of_job, tier, of_both = "", "", "", ""
    for number in range(1, size + 1):
        line = role.format(number)
        if number <= 4:
            project += f"{places[number - 1]}\n{line}"
        top += line if number == 5 else ""
        of_job += f"[jobs.nightly]\n{line}" if number == 6 else ""
        tier += line if number == 7 else ""
        of_both += f"[tiers.prod.jobs.nightly]\n{line}" if number == 8 else ""
    dev = "" if size > 2 else "[tiers.dev]\n"
    mb = f"{top}{ordinary}{of_job}{dev}[tiers.prod]\n{tier}{of_both}"
    assert job(tmp_path, project, mb).schedule_role == f"arn:aws:iam::222222222222:role/{size}"


def test_settings_of_a_job_hold_for_that_job_only(tmp_path):
    mb = MB + "cpu = 1\njobs.nightly.cpu = 2\nservices.api.cpu = 3\n"
    project = loaded(tmp_path, BY_HAND + "[jobs.weekly]\n", mb=mb)
    assert [target.cpu for target in project.targets if target.environment.tier == "prod"] == [3, 2, 1]


def test_an_environment_may_be_without_a_job(tmp_path):
    project = loaded(tmp_path, BY_HAND, mb=MB + "jobs.nightly.absent = true\n")
    assert [str(target) for target in project.targets] == ["mb-dev/api", "mb-dev/nightly", "mb-prod/api"]


def test_every_setting_of_a_job_is_shown_with_its_origin(tmp_path):
    mb = ROLE + MB + 'ecs_service = "of-services"\n'
    root = write(tmp_path, NIGHTLY, mb=mb)
    shown = {key: (value, str(origin)) for key, value, origin in settings(root, load(root).targets[-1])}
    assert shown["schedule"] == ("cron(0 3 * * ? *)", "envs/project.toml:14: jobs.nightly.schedule")
    role = "arn:aws:iam::222222222222:role/scheduler"
    assert shown["schedule_role"] == (role, "envs/mb.toml:1: schedule_role")
    assert not {"ecs_service", "rule"} & {*shown}


def test_a_rule_is_shown_and_nothing_of_jobs_at_a_service(tmp_path):
    root = write(tmp_path, BY_HAND, mb='rule = "{tier}"\n' + MB)
    service, made = ({each[0]: each[1:] for each in settings(root, target)} for target in load(root).targets[-2:])
    assert made["rule"] == ("prod", Origin("envs/mb.toml", "rule", 1))
    assert not {"rule", "schedule", "schedule_role"} & {*service}


@pytest.mark.parametrize(
    ("project", "mb", "said"),
    [
        (
            PROJECT + "[jobs.api]\n",
            MB,
            "envs/project.toml:13: jobs.api: 'api' is the name of a service too\n    give the job a name of its own",
        ),
        (
            NIGHTLY,
            MB,
            "envs/mb.toml:4: tiers.dev: mb-dev has no schedule_role, by which EventBridge Scheduler starts the tasks "
            "of 'nightly'\n"
            "    write schedule_role = … here, at the top of envs/mb.toml, or under [defaults] in envs/project.toml\n"
            "envs/mb.toml:5: tiers.prod: mb-prod has no schedule_role, by which EventBridge Scheduler starts the tasks "
            "of 'nightly'\n"
            "    write schedule_role = … here, at the top of envs/mb.toml, or under [defaults] in envs/project.toml",
        ),
        (
            NIGHTLY,
            ROLE + MB + 'jobs.nightly.rule = "{tier}"\n',
            "envs/mb.toml:7: tiers.prod.jobs.nightly.rule: mb-prod/nightly has a rule, and [jobs.nightly] a schedule\n"
            "    leave one out: the rule in envs/, or `schedule` in envs/project.toml",
        ),
        (
            NIGHTLY,
            ROLE.replace("2", "3") + MB.replace("[tiers.dev]\n", ""),
            "envs/mb.toml:1: schedule_role: is a role of account 333333333333, but mb-prod is account 222222222222\n"
            "    the account is from envs/mb.toml: account\n"
            "    give mb-prod a role of its own account",
        ),
        (
            BY_HAND + 'schedule = "at(2027-01-01T00:00:00)"\n',
            ROLE + MB,
            "envs/project.toml:14: jobs.nightly.schedule: 'at(2027-01-01T00:00:00)' runs once, and a job's schedule "
            "again and again\n"
            "    write rate(…) or cron(…), e.g. cron(0 3 * * ? *) is each day at 03:00; inv deploy.run with --job runs "
            "a job once",
        ),
        (
            BY_HAND + 'schedule = "cron(0 25 * * ? *)"\n',
            ROLE + MB,
            "envs/project.toml:14: jobs.nightly.schedule: hours '25': '25' is not within 0-23\n"
            "    e.g. cron(0 8-18 * * ? *) is each hour from 8 to 18",
        ),
        (
            BY_HAND + 'schedule = ""\n',
            ROLE + MB,
            'envs/project.toml:14: jobs.nightly.schedule: can\'t be ""\n'
            '    wanted: an EventBridge Scheduler expression, such as "cron(0 3 * * ? *)" or "rate(1 hour)"',
        ),
        (
            BY_HAND,
            MB + f'rule = "{"r" * 61}{{tier}}"\n',
            "envs/mb.toml:6: tiers.prod.rule: the rule of mb-prod/nightly has 65 characters, EventBridge allows 64: "
            f"{'r' * 40}…",
        ),
        (
            BY_HAND,
            MB + 'rule = "a/b"\n',
            'envs/mb.toml:6: tiers.prod.rule: can\'t be "a/b"\n'
            f"    wanted: the name of an EventBridge rule: letters, digits, . _ and -{FILLED}",
        ),
        (
            BY_HAND,
            MB + "jobs.nigthly.cpu = 1\n",
            "envs/mb.toml:6: tiers.prod.jobs.nigthly: there is no job 'nigthly' in envs/project.toml\n"
            "    did you mean 'nightly'?\n"
            "    known: nightly",
        ),
        (
            BY_HAND,
            MB + "services.nightly.cpu = 1\n",
            "envs/mb.toml:6: tiers.prod.services.nightly: there is no service 'nightly' in envs/project.toml\n"
            "    it is a job: write jobs.nightly",
        ),
        (
            BY_HAND,
            MB + "jobs.api.cpu = 1\n",
            "envs/mb.toml:6: tiers.prod.jobs.api: there is no job 'api' in envs/project.toml\n"
            "    it is a service: write services.api",
        ),
        (
            BY_HAND + "[defaults.jobs.daily]\n",
            MB,
            "envs/project.toml:14: defaults.jobs.daily: there is no job 'daily' in envs/project.toml\n"
            "    known: nightly",
        ),
        (
            BY_HAND + 'before_deploy = [["x"]]\nafter = ["api"]\n',
            MB,
            "envs/project.toml:14: jobs.nightly: unknown key 'before_deploy'\n"
            "    only a service has `before_deploy`; jobs are rolled out after all services of their environment\n"
            "envs/project.toml:15: jobs.nightly: unknown key 'after'\n"
            "    only a service has `after`; jobs are rolled out after all services of their environment",
        ),
        (
            BY_HAND + "cpu = 1\n",
            MB,
            "envs/project.toml:14: jobs.nightly: unknown key 'cpu'\n"
            "    a job's settings belong in a layer, such as [defaults.jobs.<job>]",
        ),
        (
            BY_HAND + 'shedule = "rate(1 hour)"\n',
            MB,
            "envs/project.toml:14: jobs.nightly: unknown key 'shedule'\n    did you mean 'schedule'?",
        ),
        (
            BY_HAND + '[services.web]\nschedule = "rate(1 hour)"\n',
            MB,
            "envs/project.toml:15: services.web: unknown key 'schedule'\n    only a job has a schedule: [jobs.<job>]",
        ),
        (
            PROJECT.replace("[images.api]\n", '[images.api]\nschedule = "rate(1 hour)"\n'),
            MB,
            "envs/project.toml:7: images.api: unknown key 'schedule'\n    when a job runs belongs under [jobs.<job>]",
        ),
        (
            BY_HAND,
            MB + 'jobs.nightly.ecs_service = "x"\n',
            "envs/mb.toml:6: tiers.prod.jobs.nightly: unknown key 'ecs_service'\n    a job has no ECS service",
        ),
        (
            BY_HAND,
            MB + 'services.api.rule = "x"\n',
            "envs/mb.toml:6: tiers.prod.services.api: unknown key 'rule'\n    only a job has `rule`: [jobs.<job>]",
        ),
        (
            BY_HAND,
            MB + 'jobs.nightly.schedule = "rate(1 hour)"\njobs.nightly.image = "x"\n',
            "envs/mb.toml:6: tiers.prod.jobs.nightly: unknown key 'schedule'\n"
            "    what a job runs, and when, belongs only in envs/project.toml, under [jobs.<job>]\n"
            "envs/mb.toml:7: tiers.prod.jobs.nightly: unknown key 'image'\n"
            "    what a job runs, and when, belongs only in envs/project.toml, under [jobs.<job>]",
        ),
        (
            BY_HAND,
            MB + "[tiers.prod.jobs.nightly.jobs.x]\n[tiers.prod.services.api.jobs.x]\n",
            "envs/mb.toml:6: tiers.prod.jobs.nightly: unknown key 'jobs'\n    jobs have no jobs of their own\n"
            "envs/mb.toml:7: tiers.prod.services.api: unknown key 'jobs'\n    services have no jobs of their own",
        ),
        (
            PROJECT + '[images.web]\n[jobs.nightly]\nimage = "wep"\n',
            MB,
            "envs/project.toml:15: jobs.nightly.image: there is no image 'wep'\n"
            "    did you mean 'web'?\n"
            "    known: api, web",
        ),
        (
            PROJECT + '[images.web]\n[services.web]\n[jobs.nightly]\n[jobs.weekly]\nimage = "web"\nuses = ["web"]\n',
            MB,
            "envs/project.toml:15: jobs.nightly: does not say which image 'nightly' runs\n"
            '    write image = "…", one of api, web\n'
            "envs/project.toml:18: jobs.weekly.uses: 'web' is the job's own image, which its template names "
            "{{ image }}\n"
            "    leave it out of `uses`",
        ),
        (
            BY_HAND,
            MB.replace("[tiers.dev]\n", "") + 'jobs.nightly.family = "one"\nservices.api.family = "one"\n',
            "envs/mb.toml:5: tiers.prod.jobs.nightly.family: mb-prod/nightly and mb-prod/api share the task definition "
            "family one, account 222222222222, us-east-1\n"
            "    give one of them another account or family",
        ),
    ],
)
def test_each_complaint_about_a_job_whole(tmp_path, project, mb, said):
    assert refusal(tmp_path, project, mb=mb) == said


LONG = NIGHTLY.replace("[jobs.nightly]", f"[jobs.{'n' * 53}]")
"""A family of 65 characters, `shop-mb-dev-nnn…`, of 66 in prod."""


def test_a_schedules_name_that_is_too_long_is_told_where_no_template_gives_another(tmp_path):
    name = "n" * 53
    to_do = f'\n    64 are allowed: set a shorter `family` in envs/, or a "Name" in templates/{name}.schedule.json.j2'
    said = [
        f"the schedule of mb-{tier}/{name} has a name of {size} characters: shop-mb-{tier}-{name}{to_do}"
        for tier, size in (("dev", 65), ("prod", 66))
    ]
    at = f"envs/project.toml:14: jobs.{name}.schedule: "
    assert refusal(tmp_path, LONG, mb=ROLE + MB) == f"{at}{said[0]}\n{at}{said[1]}"
    loaded(tmp_path, LONG.replace("n" * 53, "n" * 51), mb=ROLE + MB)
    loaded(tmp_path, LONG.replace("schedule =", "# schedule ="), mb=MB)
    (tmp_path / "templates").mkdir()
    (tmp_path / f"templates/{name}.schedule.json.j2").write_text("{}")
    loaded(tmp_path, LONG, mb=ROLE + MB)


def test_a_family_that_is_too_long_for_a_schedule_is_told_at_its_place(tmp_path):
    said = refusal(tmp_path, NIGHTLY, mb=ROLE + MB + f'jobs.nightly.family = "{"f" * 65}"\n')
    assert said.startswith("envs/mb.toml:7: tiers.prod.jobs.nightly.family: the schedule of mb-prod/nightly has a name")


def test_a_wrong_value_hides_no_other_complaint_and_makes_none(tmp_path):
    said = refusal(tmp_path, BY_HAND + "schedule = 3\n", mb=MB)
    assert said.splitlines()[0] == "envs/project.toml:14: jobs.nightly.schedule: can't be 3"
    assert said.count("envs/") == 1
    assert refusal(tmp_path, "jobs = 3\n" + PROJECT, mb=MB).startswith("envs/project.toml:1: jobs: can't be 3\n")
    said = refusal(tmp_path, PROJECT + "[jobs]\nnightly = 3\n", mb=MB)
    assert said == "envs/project.toml:14: jobs.nightly: can't be 3\n    wanted: a table"


def test_editors_know_jobs_in_every_layer():
    tables = json_schema("project")["$defs"]
    assert {*tables["JobTable"]["properties"]} == {"image", "uses", "schedule"}
    assert {"schedule_role", "rule", "jobs"} <= {*tables["Layer"]["properties"]}
    assert "ecs_service" not in tables["JobSettings"]["properties"]
    assert not {"schedule_role", "rule"} & {*tables["ServiceSettings"]["properties"]}


def test_service_selects_jobs_too(tmp_path):
    project = loaded(tmp_path, BY_HAND, mb=MB)
    chosen = select.select(project, Scope("prod", services=("nightly",)))
    assert [str(target) for target in chosen] == ["mb-prod/nightly"]
    assert select.environment(project, "mb-prod", "nightly") == chosen
    assert [each.name for each in select.services(project, None)] == ["api", "nightly"]
    said = "--service: there is no service 'nigthly'\n    did you mean 'nightly'?\n    known: api, nightly"
    with pytest.raises(Invalid) as refused:
        select.select(project, Scope("prod", services=("nigthly",)))
    assert str(refused.value) == said
