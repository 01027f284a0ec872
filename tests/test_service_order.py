"""`after` between services: what envs/ may say, and in which stages an environment's targets roll out."""

import pytest
from msgspec.structs import replace

from deploytasks.model import JobSettings, Plan, Result, Rollout, Target
from deploytasks.report import plan as plan_report
from deploytasks.report.markdown import markdown
from deploytasks.report.plain import plain
from deploytasks.rollout.turns import Turns
from deploytasks.rules import order, plan
from tests.envs_files import MB, PROJECT, loaded, refusal
from tests.given import desired, live, target, tier


def services(**after: str) -> str:
    """The project with these services, each with the text of its `after`; their tables begin in line 12."""
    tables = "".join(f"[services.{name}]\n" + (f"after = {text}\n" if text else "") for name, text in after.items())
    return PROJECT.replace("[services.api]\n", "") + tables


FAULTS = {
    "a service that does not exist": (
        services(web="", worker='["wbe"]'),
        "14: services.worker.after: there is no service 'wbe'\n    did you mean 'web'?\n    known: web, worker",
    ),
    "a job": (
        services(web='["nightly"]') + '[jobs.nightly]\nimage = "api"\n',
        "13: services.web.after: 'nightly' is a job\n    leave it out: jobs are rolled out after all services",
    ),
    "itself": (
        services(web='["web"]'),
        "13: services.web.after: 'web' can't come after itself\n    leave it out of `after`",
    ),
    "a circle of two": (
        services(web='["worker"]', worker='["web"]'),
        "13: services.web.after: goes in a circle: web after worker, worker after web\n"
        "    remove one of these from its `after`",
    ),
    "a circle, and one that leads into it": (
        services(a='["b"]', b='["c"]', c='["d"]', d='["b"]'),
        "15: services.b.after: goes in a circle: b after c, c after d, d after b\n"
        "    remove one of these from its `after`",
    ),
    "two circles": (
        services(a='["b"]', b='["a"]', c='["d"]', d='["c"]'),
        "13: services.a.after: goes in a circle: a after b, b after a\n    remove one of these from its `after`\n"
        "envs/project.toml:17: services.c.after: goes in a circle: c after d, d after c\n"
        "    remove one of these from its `after`",
    ),
    "a name instead of a list": (
        services(web="", worker='"web"'),
        '14: services.worker.after: can\'t be "web"\n    wanted: a list of names, such as ["web"]',
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_order_that_can_not_be_is_one_complaint_with_its_line(tmp_path, fault):
    project, said = FAULTS[fault]
    assert refusal(tmp_path, project) == f"envs/project.toml:{said}"


def test_a_service_in_an_earlier_wave_than_one_that_goes_first_is_refused(tmp_path):
    project = services(web="", worker='["web"]', mailer='["web"]')
    assert refusal(tmp_path, project, mb=MB + "services.web.wave = 2\n") == (
        "envs/mb.toml:6: tiers.prod.services.web.wave: worker, mailer come after 'web', but in an earlier wave\n"
        "    give 'web' no later wave than what comes after it"
    )


def test_a_job_in_an_earlier_wave_than_a_service_is_refused(tmp_path):
    project = services(web="") + '[jobs.nightly]\nimage = "api"\n'
    assert refusal(tmp_path, project, mb=MB + "services.web.wave = 2\n") == (
        "envs/mb.toml:6: tiers.prod.services.web.wave: nightly comes after 'web', but in an earlier wave\n"
        "    give 'web' no later wave than what comes after it"
    )
    assert loaded(tmp_path, project, mb=MB + "services.web.wave = 2\njobs.nightly.wave = 2\n")


def test_a_later_wave_than_that_of_what_goes_first_is_no_fault(tmp_path):
    project = services(web="", worker='["web"]')
    assert loaded(tmp_path, project, mb=MB + "services.worker.wave = 2\n")


def names(targets: tuple[Target, ...]) -> list[list[str]]:
    return [[each.name for each in stage] for stage in order.stages(targets)]


ORDERS = {
    "no order": ({"web": (), "worker": ()}, [["web", "worker"]]),
    "one after another": ({"worker": ("web",), "web": ()}, [["web"], ["worker"]]),
    "a chain": ({"c": ("b",), "b": ("a",), "a": ()}, [["a"], ["b"], ["c"]]),
    "the longest way decides": (
        {"a": (), "b": ("a",), "c": ("a", "b"), "d": ("a",)},
        [["a"], ["b", "d"], ["c"]],
    ),
    "a service that is not there is no constraint": ({"worker": ("web",)}, [["worker"]]),
    "jobs come last": ({"nightly!": (), "worker": ("web",), "web": ()}, [["web"], ["worker"], ["nightly!"]]),
    "jobs alone": ({"nightly!": (), "weekly!": ()}, [["nightly!", "weekly!"]]),
    "nothing": ({}, []),
}


@pytest.mark.parametrize("case", ORDERS)
def test_an_environments_targets_are_in_stages(case):
    after, expected = ORDERS[case]
    made = tuple(
        target(service=name, after=names, job=JobSettings() if name.endswith("!") else None)
        for name, names in after.items()
    )
    assert names(made) == expected


def test_what_is_absent_is_no_constraint_but_what_goes_before_it_is(tmp_path):
    project = services(a='["b"]', b='["c"]', c="")
    found = loaded(tmp_path, project, mb=MB + "services.b.absent = true\n").of_tier("prod")
    assert names(found) == [["c"], ["a"]]
    assert names(tuple(each for each in found if each.name != "c")) == [["a"]]


def test_each_waits_for_what_it_comes_after_in_its_own_environment_and_in_no_later_wave():
    web, worker = target(service="web"), target(service="worker", after=("web",))
    lone, mailer = target("mb", service="worker", after=("web",)), target(service="mailer", after=("web",), wave=2)
    other, nightly = target(service="search", wave=3), target(service="nightly", wave=2, job=JobSettings())
    assert order.earlier((web, worker, lone, mailer, other, nightly)) == {
        **dict.fromkeys((web, lone, other), ()),
        worker: (web,),
        mailer: (web,),
        nightly: (web, worker, mailer),
    }


def test_what_it_does_not_come_after_is_nothing_to_wait_for():
    web, search, worker = target(service="web"), target(service="search"), target(service="worker", after=("web",))
    assert order.earlier((web, search, worker))[worker] == (web,)


def rollout(one: Target, action: plan.Action = "update") -> Rollout:
    return Rollout(one, action, "", desired(), {one.name: "image"}, live=replace(live(), target=one))


WEB, WORKER = target(service="web"), target(service="worker", after=("web",))


@pytest.mark.parametrize(
    ("web", "worker", "waits"),
    [
        ("update", "update", ("web",)),
        ("force", "create", ("web",)),
        ("follow", "force", ("web",)),
        ("nothing", "update", ()),
        ("update", "nothing", ()),
        ("update", "follow", ()),
    ],
)
def test_a_rollout_waits_only_where_it_touches_its_target_and_what_goes_first_has_something_to_do(web, worker, waits):
    ((first, second),) = plan.waves([rollout(WEB, web), rollout(WORKER, worker)])
    assert (first.after, second.after) == ((), waits)


def test_an_environment_has_as_many_stages_as_its_longest_way():
    assert order.most_stages([WEB, WORKER, target("mb", service="web")]) == 2
    assert order.most_stages([]) == 0


def test_a_plan_tells_the_order_once_for_all_environments_in_text_and_markdown():
    mailer = target(service="mailer", after=("web", "worker"))
    there = (WEB, mailer, WORKER, target("mb", service="web"), target("mb", service="worker", after=("web",)))
    sheet = plan_report.sheet(Plan(tier(), waves=plan.waves(map(rollout, there))))
    order = ("then worker, after web, in each environment", "then mailer, after web and worker, in each environment")
    assert plain(sheet).endswith("\n".join(order) + "\n")
    assert "<br>\n".join(order) in markdown("Plan", sheet)


def test_the_one_that_failed_is_named_wherever_it_stands_in_the_file():
    """`mailer` comes after `worker`, and that after `web`, which is last in the file, and fails."""
    mailer, worker, web = target(service="mailer", after=("worker", "web")), WORKER, WEB
    (wave,) = plan.waves(map(rollout, (worker, mailer, web)))
    turns = Turns(wave)
    assert turns.next() == wave[2] and turns.next() is None
    turns.end(Result(web, "rolled back"))
    ((held, why),) = turns.never()
    assert (held.target, why) == (worker, "not touched, because web, which goes first in prod, ended as rolled back")
    turns.end(Result(worker, "not attempted"))
    assert list(turns.never()) == [(wave[1], why)]
    assert len(turns) == 0
