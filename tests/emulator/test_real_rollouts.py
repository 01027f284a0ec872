"""Whole releases to two tenants' accounts, with a Docker engine that runs what they roll out."""

import json
import signal
import subprocess
import time
from uuid import uuid4

import pytest

from tests.emulator import sight

pytestmark = [pytest.mark.docker, pytest.mark.emulator, pytest.mark.timeout(180)]


@pytest.fixture
def world(shared):
    """The file's world: its tiers run what the tests before left there, its service and its envs/ are as at first."""
    first = shared.run("git", "rev-list", "--max-parents=0", "HEAD").stdout.strip()
    shared.run("git", "checkout", "--quiet", first, "--", "examples", "envs").check_returncode()
    return shared


def test_two_accounts_run_the_registry_accounts_image_as_containers(world):
    _change(world)
    _promote(world, "dev")

    built = sight.digest(world, "dev")
    assert built is not None
    assert sight.digests(world, "dev") == {"main": {built}, "mb": {built}}
    assert len({target.access.account for target in sight.targets(world, "dev").values()}) == 2
    images = [image for image in sight.containers(world) if image.endswith(built)]
    assert images == [f"{world.emulator.registry}/shop/app@{built}"] * 4


def test_with_pin_tag_a_moved_tag_changes_what_both_run_without_a_new_revision(world):
    before, revisions = sight.digests(world, "dev"), sight.revisions(world, "dev")
    _change(world)

    _promote(world, "dev")

    after = sight.digest(world, "dev")
    assert sight.digests(world, "dev") == {"main": {after}, "mb": {after}} != before
    assert sight.revisions(world, "dev") == revisions


def test_with_pin_digest_a_moved_tag_changes_what_both_run_with_one_new_revision_each(world):
    _change(world)
    _promote(world, "dev", "staging")
    before, revisions = sight.digests(world, "staging"), sight.revisions(world, "staging")
    _change(world)

    _promote(world, "dev", "staging")

    after = sight.digest(world, "staging")
    assert sight.digests(world, "staging") == {"main": {after}, "mb": {after}} != before
    assert {tenant: len(each) for tenant, each in sight.revisions(world, "staging").items()} == {
        tenant: len(each) + 1 for tenant, each in revisions.items()
    }


def test_a_crashing_second_image_is_rolled_back_and_the_other_tenant_reported(world):
    first = sight.digest(world, "dev")
    assert sight.digests(world, "dev")["mb"] == {first}
    tenant = sight.targets(world, "dev")["mb"]
    port = tenant.vars["port"]
    _change(world, f'import os, sys\nif os.environ["PORT"] == "{port}":\n    sys.exit("no luck in bulk orders")\n')

    released = world.inv("release.dev")

    said = released.stdout + released.stderr
    assert released.returncode == 1, said
    assert "rolled back" in said
    assert "Essential container exited" in said
    assert "no luck in bulk orders" in said
    assert "deployed" in said
    second = sight.digest(world, "dev")
    assert sight.digests(world, "dev") == {"main": {second}, "mb": {first}}
    looked = world.inv("status", "--tier", "dev", "--check", "--json")
    cells = {cell["target"]: cell for cell in json.loads(looked.stdout)["cells"]}
    assert looked.returncode == 3, looked.stderr
    assert cells["mb-dev/web"]["standing"] == "rolled back"
    assert cells["mb-dev/web"]["marks"] == ["failed", "behind", "mixed"]
    assert cells["dev/web"]["marks"] == ["mixed"]
    assert cells["dev/web"]["evidence"] == "seen"


def test_a_wrong_account_in_one_tenants_file_stops_everything_before_the_first_write(world):
    _change(world)
    account = sight.targets(world, "dev")["mb"].access.account
    role = f'role = "arn:aws:iam::{account}:role/deploy"'
    world.edit("envs/mb.toml", f'account = "{account}"', f'account = "999999999999"\n{role}')
    world.commit("Mistake the account")
    before = _everything_of(world, account)

    released = world.inv("release.dev")

    assert released.returncode == 2, released.stdout + released.stderr
    assert "999999999999" in released.stderr
    assert account in released.stderr
    assert _everything_of(world, account) == before


@pytest.mark.timeout(300)
def test_a_killed_release_goes_on_under_the_same_release_tag(world):
    for moment in ("once the release tag is there", "once a tenant is being updated"):
        _change(world)
        _promote(world, "dev", "staging")
        old, wanted = sight.release_tags(world, "prod"), sight.digest(world, "staging")

        _kill_release(world, moment, old)
        (minted,) = set(sight.release_tags(world, "prod")) - set(old)
        again = world.inv("release.prod")

        assert again.returncode == 0, again.stdout + again.stderr
        assert set(sight.release_tags(world, "prod")) - set(old) == {minted}
        assert sight.digest(world, minted) == sight.digest(world, "prod") == wanted
        assert sight.digests(world, "prod") == {"main": {wanted}, "mb": {wanted}}


def _promote(world, *tiers):
    for tier in tiers:
        released = world.inv(f"release.{tier}")
        assert released.returncode == 0, released.stdout + released.stderr


def _change(world, code=""):
    """One more commit; `code` goes to the head of the service's program, and a comment that was never there before."""
    world.edit("examples/app/app.py", "import json\n", f"import json\n# {uuid4()}\n{code}")
    world.commit("Change the service")


def _everything_of(world, account):
    """Everything in AWS, read with the tenant's right account."""
    path = world.root / "envs/mb.toml"
    mistaken = path.read_text()
    path.write_text(mistaken.replace("999999999999", account))
    try:
        return sight.everything(world)
    finally:
        path.write_text(mistaken)


def _kill_release(world, moment, old):
    """`inv release.prod` gets a SIGKILL at that moment."""
    with subprocess.Popen(
        ["inv", "release.prod"], cwd=world.root, env=world.environment, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while not _come(world, moment, old):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)


def _come(world, moment, old):
    if len(sight.release_tags(world, "prod")) == len(old):
        return False
    if moment == "once the release tag is there":
        return True
    return len(sight.service(world, sight.targets(world, "prod")["main"])["deployments"]) > 1
