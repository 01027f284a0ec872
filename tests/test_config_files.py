"""Files that can't be read are complaints that name them, never tracebacks."""

import os

import pytest

from tests.envs_files import MB, PROJECT, refusal, refusal_of, write


def test_broken_toml_is_named_with_its_line(tmp_path):
    said = refusal(tmp_path, mb=MB + "cpu 256\n")
    assert said == "envs/mb.toml:6: is not TOML: Expected '=' after a key in a key/value pair (column 5)"


def test_toml_that_ends_too_early_is_named(tmp_path):
    assert refusal(tmp_path, mb='account = """').startswith("envs/mb.toml: is not TOML: ")


def test_a_key_written_twice_is_named_with_its_line(tmp_path):
    assert refusal(tmp_path, mb='region = "a"\nregion = "b"\n').startswith(
        "envs/mb.toml:2: is not TOML: Cannot overwrite"
    )


def test_every_broken_file_is_named_at_once(tmp_path):
    said = refusal(tmp_path, "= 1", acme="= 2", mb="= 3").splitlines()
    assert [line.partition(":")[0] for line in said] == ["envs/acme.toml", "envs/mb.toml", "envs/project.toml"]


def test_a_file_that_is_not_utf8_is_named_with_the_line(tmp_path):
    root = write(tmp_path)
    (root / "envs" / "mb.toml").write_bytes(MB.encode() + b'env.NAME = "caf\xe9"\n')
    assert refusal_of(root) == "envs/mb.toml:6: is not UTF-8\n    save it as UTF-8, as TOML wants it"


def test_a_directory_named_as_a_file_is_named(tmp_path):
    root = write(tmp_path)
    (root / "envs" / "acme.toml").mkdir()
    assert refusal_of(root) == "envs/acme.toml: is a directory, not a file\n    move it elsewhere, or rename it"


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    root = write(tmp_path)
    (root / "envs" / "acme.toml").symlink_to("gone.toml")
    assert refusal_of(root).startswith("envs/acme.toml: there is no such file")


def test_a_link_in_a_circle_is_named(tmp_path):
    root = write(tmp_path)
    (root / "envs" / "acme.toml").symlink_to("acme.toml")
    assert refusal_of(root) == "envs/acme.toml: can't be read: Too many levels of symbolic links"


def test_nesting_without_end_is_named(tmp_path):
    said = refusal(tmp_path, mb=f"vars.x = {'[' * 9000}{']' * 9000}\n" + MB)
    assert said.startswith("envs/mb.toml: is nested too deeply to be read\n    at most 64 tables and lists")


def test_nothing_at_all_is_a_complaint(tmp_path):
    assert refusal_of(tmp_path) == (
        "envs/project.toml: there is no such file\n"
        "    write it: [project] with name, [registry] with account and region, and a table each [images.NAME],\n"
        "    [services.NAME] and [tiers.NAME]\n"
        "    docs/envs.md in deploytasks' own repository shows a complete one"
    )


def test_an_empty_tenant_file_has_no_tier(tmp_path):
    said = refusal(tmp_path, mb="")
    assert said == "envs/mb.toml: 'mb' has no tier\n    add a table such as [tiers.dev]; it may be empty"


def test_an_empty_project_file_lacks_all_that_is_required(tmp_path):
    said = refusal(tmp_path, "")
    for what in (
        "envs/project.toml: project.name: is missing",
        "envs/project.toml: registry.account: is missing",
        "envs/project.toml: registry.region: is missing",
        "envs/project.toml: there is no service",
        "envs/project.toml: there is no tier",
    ):
        assert what in said


@pytest.mark.parametrize("name", ["MB", "m_b", "9mb", "m b", "mb."])
def test_a_file_whose_name_can_be_no_tenants_is_named(tmp_path, name):
    root = write(tmp_path)
    (root / "envs" / f"{name}.toml").write_text(MB.replace("222222222222", "333333333333"))
    assert f"envs/{name}.toml: '{name}' can't be a tenant's name\n" in refusal_of(root)


def test_a_broken_project_file_hides_no_complaint_about_a_tenant(tmp_path):
    said = refusal(tmp_path, PROJECT + "= 1", mb="cpus = 1\n" + MB)
    assert "envs/mb.toml:1: unknown key 'cpus'\n    did you mean 'cpu'?" in said
    assert "envs/project.toml:13: is not TOML" in said


def test_a_pipe_is_not_waited_for(tmp_path):
    root = write(tmp_path)
    os.mkfifo(root / "envs/acme.toml")
    assert refusal_of(root) == "envs/acme.toml: can't be read: is a pipe"
