"""A repository has one project: another's is refused everywhere, and one that carries none is taken over on request."""

import pytest

from deploytasks.commands.ownership import LABEL
from deploytasks.config.load import load
from tests.cloud.ecr import Repository
from tests.commands import REGISTRY, Ran, Shop
from tests.proxy import DENIED, Cut, Proxy, Rule, Watch
from tests.test_dry_run import SHOPS_TASKS, tasks_of, words_for

pytestmark = pytest.mark.waits

OWN = "deploytasks:project"
READING = {
    *("status", "tag.list", "release.history", "deploy.diff", "deploy.logs", "deploy.wait"),
    *("envs.list", "envs.show", "envs.render", "envs.check", "envs.new", "envs.rights", "envs.schema"),
    "lock.status",
}
OF_THE_PROJECT_ALONE = {"lock.acquire", "lock.release"}
"""What these change is named by the project, and by nothing that two of them could share."""
CHANGING = sorted({*SHOPS_TASKS} - READING - OF_THE_PROJECT_ALONE)


def repositories(shop: Shop) -> dict[str, Repository]:
    found: dict[str, Repository] = shop.endpoint.cloud.account(REGISTRY).repositories
    return found


def rename(shop: Shop) -> None:
    """From now on this is project `bill`, in the same registry, with the same image and services."""
    shop.edit("envs/project.toml", 'name = "shop"', 'name = "bill"')


def by_default(shop: Shop) -> None:
    shop.edit("envs/project.toml", 'repository = "api"\n', "")


def refused(ran: Ran) -> bool:
    return ran.code not in (0, 3) and "project shop, this is bill" in ran.stderr + ran.stdout


@pytest.mark.parametrize("task", CHANGING)
def test_no_task_of_one_project_changes_what_is_anothers(shop: Shop, task: str):
    assert shop.inv("release.prod").code == 0
    rename(shop)
    shop.endpoint.calls.clear()
    words = words_for(task, tasks_of(shop.root)[task], shop.root / "page.html", shop.commits["newer"])
    words += ["--run", "7"] if task == "release.matrix" else []
    assert refused(shop.inv(*words, *(["--", "true"] if task == "deploy.run" else [])))
    assert shop.writes() == {}
    assert not [name for name in shop.endpoint.cloud.account(REGISTRY).parameters if name.endswith("/lock")]


def test_two_projects_whose_images_have_one_name_have_a_repository_each(shop: Shop):
    by_default(shop)
    rename(shop)
    assert [image.repository for image in load(shop.root).images] == ["bill/api"]
    before = repositories(shop)["api"].policy
    ran = shop.inv("envs.bootstrap")
    assert (ran.code, ran.stderr) == (0, "")
    assert "repository bill/api: made for project bill, tags immutable but dev, staging, prod\n" in ran.stdout
    assert repositories(shop)["bill/api"].marks == {OWN: "bill"}
    assert (repositories(shop)["api"].marks, repositories(shop)["api"].policy) == ({OWN: "shop"}, before)
    assert shop.inv("envs.bootstrap").stdout == "every repository is there, and all accounts may pull\n"


NEITHER = "there is no terminal to ask on\n    inv envs.bootstrap --yes does it\n"
KEEP = 'repository = "api" under [images.api] in envs/project.toml to keep it'


@pytest.mark.parametrize(
    ("marks", "default", "words", "code", "said", "after"),
    [
        ({}, False, [], 2, NEITHER, {"api": {}}),
        ({}, False, ["--yes"], 0, "repository api: marked as project shop's\n", {"api": {OWN: "shop"}}),
        ({}, False, ["--dry-run"], 0, "repository api: marked as project shop's\n", {"api": {}}),
        ({"team": "a"}, False, ["--yes"], 0, "marked as project shop's", {"api": {"team": "a", OWN: "shop"}}),
        ({OWN: "shop"}, False, [], 0, "every repository is there", {"api": {OWN: "shop"}}),
        ({OWN: "bill"}, False, ["--yes"], 2, "ECR api: the repository belongs to project bill, this is shop\n", None),
        ({}, True, [], 2, KEEP, {"api": {}}),
        ({}, True, ["--yes"], 0, "shop/api: made for project shop", {"api": {}, "shop/api": {OWN: "shop"}}),
        ({OWN: "bill"}, True, [], 0, "made for project shop", {"api": {OWN: "bill"}, "shop/api": {OWN: "shop"}}),
    ],
)
def test_bootstrap_takes_over_what_carries_no_project_only_if_it_is_told_to(
    shop: Shop, marks: dict[str, str], default: bool, words: list[str], code: int, said: str, after: object
):
    repositories(shop)["api"].marks = dict(marks)
    if default:
        by_default(shop)
    ran = shop.inv("envs.bootstrap", *words)
    assert (ran.code, said in ran.stdout + ran.stderr) == (code, True), ran
    assert {name: one.marks for name, one in repositories(shop).items()} == (after or {"api": marks})


def test_bootstrap_asks_the_person_at_the_terminal(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr("deploytasks.tasks.shell.ask", lambda question: bool(asked.append(question)))
    repositories(shop)["api"].marks = {}
    ran = shop.inv("envs.bootstrap")
    assert asked == ["ECR api: the repository is there already, and carries no project: go on?"]
    assert (ran.code, repositories(shop)["api"].marks) == (2, {})


@pytest.mark.parametrize("task", ["build", "tag.dev", "deploy.dev", "release.dev", "release.rollback dev"])
def test_where_the_former_default_is_there_a_missing_repositorys_complaint_says_how_to_keep_it(shop: Shop, task: str):
    by_default(shop)
    repositories(shop)["api"].marks = {}
    shop.refuse("ListTagsForResource", "AccessDeniedException")  # a right that nobody has given yet
    ran = shop.inv(*task.split())
    assert (ran.code, ran.stderr.count("ECR shop/api: "), KEEP in ran.stderr) == (2, 1, True)


@pytest.mark.parametrize("owner", ["bill", None])
def test_nobody_is_told_to_keep_a_repository_that_is_anothers_or_not_there(shop: Shop, owner: str | None):
    by_default(shop)
    repositories(shop)["api"].marks = {OWN: str(owner)}
    if owner is None:
        repositories(shop).clear()
    ran = shop.inv("release.dev")
    assert (ran.code, "ECR shop/api: " in ran.stderr, "to keep it" in ran.stderr) == (2, True, False)


def test_a_foreign_repository_is_told_beside_all_else_that_is_wrong(shop: Shop):
    repositories(shop)["api"].marks = {OWN: "bill"}
    shop.edit("envs/t2.toml", 'cluster = "{tenant}-{tier}"', 'cluster = "gone-{tier}"')
    for words in (["release.dev"], ["deploy.dev", "--to", "f" * 40], ["release.rollback", "dev"]):
        ran = shop.inv(*words)
        assert (ran.code, "the repository belongs to project bill" in ran.stderr) == (2, True)
        assert "ClusterNotFoundException" in ran.stderr
    assert "commit fffffff is not in ECR" in shop.inv("tag.dev", "--commit", "f" * 40).stderr


@pytest.mark.parametrize("task", ["build", "tag.prod", "deploy.prod", "release.prod", "release.rollback prod"])
def test_a_repository_that_carries_no_project_is_nobody_elses(shop: Shop, task: str):
    repositories(shop)["api"].marks = {"team": "a"}
    assert "belongs to" not in shop.inv(*task.split(), "--dry-run").stderr


def test_what_may_not_be_asked_is_noted_and_refuses_nothing(shop: Shop):
    shop.add_service("worker")
    shop.edit("envs/project.toml", "[images.worker]", '[images.worker]\nrepository = "worker"')
    repositories(shop)["worker"] = Repository("worker", shop.endpoint.cloud.account(REGISTRY))
    shop.refuse("ListTagsForResource", "AccessDeniedException")
    note = "not checked: the project of 2 repositories (ListTagsForResource: AccessDeniedException)"
    assert note in shop.inv("build", "--dry-run").stdout


def built_by(shop: Shop, **labels: str) -> None:
    """The newer commit's image is one with these labels, wherever a tag names it."""
    repository = repositories(shop)["api"]
    before = repository.tags[shop.commits["newer"]]
    after = repository.push(shop.commits["newer"], **labels).digest
    repository.tags |= {tag: after for tag, digest in repository.tags.items() if digest == before}


@pytest.mark.parametrize("marks", [{}, {OWN: "shop"}], ids=["no tag", "our tag"])
@pytest.mark.parametrize("task", ["deploy.prod", "deploy.register prod", "release.prod"])
def test_an_image_that_another_project_built_is_refused_by_its_label(shop: Shop, task: str, marks: dict[str, str]):
    built_by(shop, **{LABEL: "bill"})
    repositories(shop)["api"].marks = marks
    ran = shop.inv(*task.split())
    assert (ran.code, shop.writes()) == (2, {})
    assert f"(commit {shop.commits['newer'][:7]}) was built by project bill, this is shop\n" in ran.stderr


@pytest.mark.parametrize("labels", [{}, {LABEL: "shop"}, {LABEL: ""}, {"project": "bill"}])
def test_an_image_of_ours_or_of_nobody_is_let_through(shop: Shop, labels: dict[str, str]):
    built_by(shop, **labels)
    assert shop.inv("deploy.prod", "--no-wait").code == 0


def test_a_label_that_may_not_be_read_refuses_nothing(shop: Shop):
    built_by(shop, **{LABEL: "bill"})
    shop.refuse("GetDownloadUrlForLayer", "AccessDeniedException")
    assert shop.inv("deploy.prod", "--no-wait").code == 0


def with_a_second_image(shop: Shop) -> None:
    """One repository is to be marked, another to be made, and both to be pulled from."""
    shop.edit("envs/project.toml", "[tiers.dev]", '[images.web]\ncontext = "."\n[services.web]\n[tiers.dev]')
    repositories(shop)["api"].marks, repositories(shop)["api"].policy = {}, None


MADE = {"TagResource": "api: marked", "CreateRepository": "shop/web: made", "SetRepositoryPolicy": "may pull"}


@pytest.mark.parametrize("operation", MADE)
def test_a_write_of_bootstrap_whose_answer_is_lost_is_done_once(shop: Shop, proxy: Proxy, operation: str):
    with_a_second_image(shop)
    proxy.rules = (Rule(Cut("after"), operation, times=1),)
    ran = shop.inv("envs.bootstrap", "--yes")
    assert (ran.code, ran.stderr, MADE[operation] in ran.stdout) == (0, "", True)
    assert {each.marks[OWN] for each in repositories(shop).values()} == {"shop"}


def test_a_repository_that_another_project_makes_meanwhile_stays_its(shop: Shop, proxy: Proxy):
    def overtake(call: object) -> None:
        account = shop.endpoint.cloud.account(REGISTRY)
        account.repositories["shop/web"] = Repository("shop/web", account, marks={OWN: "bill"})

    with_a_second_image(shop)
    proxy.rules = (Rule(Watch(overtake), "CreateRepository"),)
    ran = shop.inv("envs.bootstrap", "--yes")
    assert (ran.code, repositories(shop)["shop/web"].marks) == (1, {OWN: "bill"})
    assert "RepositoryAlreadyExistsException" in ran.stderr


def test_bootstrap_says_what_it_changed_before_aws_said_no(shop: Shop, proxy: Proxy):
    with_a_second_image(shop)
    proxy.rules = (Rule(DENIED, "CreateRepository"),)
    ran = shop.inv("envs.bootstrap", "--yes")
    accounts = "100000000001, 100000000002"
    said = f"repository api: marked as project shop's\nrepository api: {accounts} may pull\n"
    assert (ran.code, ran.stdout) == (1, said)
