"""What is said of images that don't fit the services and jobs that run them, and of the layout without images."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.envs_files import PROJECT, loaded, refusal

HEAD, _, TAIL = PROJECT.partition("[images.api]\n[services.api]\n")
"""The project's file around its images and services; they begin at line 6."""


def with_tables(tables: str) -> str:
    return f"{HEAD}{tables}{TAIL}"


APP = "[images.app]\n"
UNFIT = {
    "an image that nothing runs": (
        APP + '[images.nginx]\n[services.web]\nimage = "app"\n',
        "envs/project.toml:7: images.nginx: no service or job runs the image 'nginx'\n"
        '    name it in a service or job: image = "nginx", or uses = ["nginx"]; or remove it',
    ),
    "a service of an unknown image": (
        APP + '[services.web]\nimage = "apq"\n',
        "envs/project.toml:8: services.web.image: there is no image 'apq'\n    did you mean 'app'?\n    known: app",
    ),
    "a job of an unknown image": (
        APP + '[services.web]\n[jobs.nightly]\nimage = "nope"\n',
        "envs/project.toml:9: jobs.nightly.image: there is no image 'nope'\n    known: app",
    ),
    "an unknown image in `uses`": (
        APP + '[images.nginx]\n[services.web]\nimage = "app"\nuses = ["ngnix"]\n',
        "envs/project.toml:10: services.web.uses: there is no image 'ngnix'\n"
        "    did you mean 'nginx'?\n"
        "    known: app, nginx",
    ),
    "its own image in `uses`": (
        APP + '[services.web]\nuses = ["app"]\n',
        "envs/project.toml:8: services.web.uses: 'app' is the service's own image, which its template names "
        "{{ image }}\n"
        "    leave it out of `uses`",
    ),
    "its own image in a job's `uses`": (
        APP + '[services.web]\n[jobs.nightly]\nuses = ["app"]\n',
        "envs/project.toml:9: jobs.nightly.uses: 'app' is the job's own image, which its template names {{ image }}\n"
        "    leave it out of `uses`",
    ),
    "no image where there are two": (
        APP + '[images.nginx]\n[services.web]\nuses = ["nginx", "app"]\n',
        "envs/project.toml:8: services.web: does not say which image 'web' runs\n"
        '    write image = "…", one of app, nginx',
    ),
    "an image that is no name": (
        APP + '[services.web]\nimage = ["app"]\n',
        'envs/project.toml:8: services.web.image: can\'t be ["app"]\n'
        "    wanted: lower-case letters, digits and dashes, a letter first, at most 63",
    ),
    "a used image that is named twice": (
        APP + '[images.nginx]\n[services.web]\nimage = "app"\nuses = ["nginx", "nginx"]\n',
        "envs/project.toml:10: services.web.uses: names 'nginx' 2 times\n    name it once",
    ),
    "`uses` that is no list": (
        APP + '[services.web]\nuses = "app"\n',
        'envs/project.toml:8: services.web.uses: can\'t be "app"\n    wanted: a list of names, such as ["web"]',
    ),
    "one repository for two images": (
        APP + '[images.web]\nrepository = "shop/app"\n[services.app]\n[services.web]\n',
        "envs/project.toml:8: images.web.repository: is the repository of 'app' too: 'shop/app'\n"
        "    both would be pushed under the same commit tag: give each image its own",
    ),
    "images, but nothing that runs": (
        APP,
        "envs/project.toml: there is no service and no job\n    add a table [services.<name>] or [jobs.<name>]",
    ),
    "neither": (
        "",
        "envs/project.toml: there is no image\n    add a table [images.<name>]\n"
        "envs/project.toml: there is no service and no job\n    add a table [services.<name>] or [jobs.<name>]",
    ),
    "a misspelt [images]": (
        "[image.app]\n[services.web]\n",
        "envs/project.toml:6: unknown key 'image'\n    did you mean 'images'?",
    ),
    "a job that says how its image is built": (
        APP + '[services.web]\n[jobs.nightly]\ncontext = "x"\n',
        "envs/project.toml:9: jobs.nightly: unknown key 'context'\n"
        "    how an image is built belongs under [images.<image>]",
    ),
    "a service's key of an image": (
        APP + 'uses = ["x"]\n[services.web]\n',
        "envs/project.toml:7: images.app: unknown key 'uses'\n"
        "    what a service does with its image belongs under [services.<service>]",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_images_that_do_not_fit_what_runs_them_are_told_with_file_and_line(tmp_path: Path, case: str):
    tables, expected = UNFIT[case]
    assert refusal(tmp_path, with_tables(tables)) == expected


class Instead(NamedTuple):
    """A service of the former layout: the line of its complaint, and what is to be written instead of which tables."""

    line: int
    service: str
    lines: str
    besides: str = ""
    """The table of an image that is there, which the lines replace too."""

    @property
    def complaint(self) -> str:
        instead = f"write instead, and in place of [{self.besides}]" if self.besides else "write instead"
        to_do = "".join(f"\n    {each}" for each in (instead, *self.lines.splitlines()))
        return f"envs/project.toml:{self.line}: services.{self.service}: {WHY}{to_do}"


WHY = "how an image is built belongs in a table of its own, since several services may run one image"
EVERY_KEY = """\
repository = "team/api"
context = "é"
dockerfile = "D"
platforms = ["linux/amd64"]
builder = "append"
artifacts = ["x/*.jar"]
"""
STEPS = 'before_deploy = [["./m", "a \\"b\\""]]\n'
FORMER = {
    "one key": (
        '[services.api]\ncontext = "examples/api"\n',
        [Instead(7, "api", '[images.api]\ncontext = "examples/api"\n[services.api]\n')],
    ),
    "every key": (
        f"[services.api]\n{EVERY_KEY}{STEPS}",
        [Instead(7, "api", f"[images.api]\n{EVERY_KEY}[services.api]\n{STEPS}")],
    ),
    "nothing said": ("[services.api]\n", [Instead(6, "api", "[images.api]\n[services.api]\n")]),
    "two services": (
        '[services.api]\ncontext = "a"\n[services.worker]\n',
        [
            Instead(7, "api", '[images.api]\ncontext = "a"\n[services.api]\n'),
            Instead(8, "worker", "[images.worker]\n[services.worker]\n"),
        ],
    ),
    "beside other images": (
        '[images.nginx]\n[services.web]\nimage = "nginx"\n[services.api]\nuses = ["nginx"]\ncontext = "a"\n',
        [Instead(11, "api", '[images.api]\ncontext = "a"\n[services.api]\nuses = ["nginx"]\n')],
    ),
    "beside its own image": (
        '[images.api]\nbuilder = "append"\n[services.api]\ncontext = "a"\n',
        [Instead(9, "api", '[images.api]\nbuilder = "append"\ncontext = "a"\n[services.api]\n', "images.api")],
    ),
    "beside the image that it names": (
        '[images.app]\n[services.web]\n[services.api]\nimage = "app"\ncontext = "a"\n',
        [Instead(10, "api", '[images.app]\ncontext = "a"\n[services.api]\nimage = "app"\n', "images.app")],
    ),
}


@pytest.mark.parametrize("case", FORMER)
def test_the_layout_without_images_is_refused_with_the_lines_to_write(tmp_path: Path, case: str):
    tables, expected = FORMER[case]
    assert refusal(tmp_path, with_tables(tables)) == "\n".join(each.complaint for each in expected)


@pytest.mark.parametrize("case", FORMER)
def test_the_lines_to_write_work_as_they_are(tmp_path: Path, case: str):
    tables, expected = FORMER[case]
    blocks = dict(re.findall(r"^\[(.+)\]\n((?:[^\[].*\n)*)", tables, re.MULTILINE))
    for each in expected:
        for gone in filter(None, (f"services.{each.service}", each.besides)):
            del blocks[gone]
    kept = "".join(f"[{name}]\n{inner}" for name, inner in blocks.items())
    project = loaded(tmp_path, with_tables(kept + "".join(each.lines for each in expected)))
    for each in expected:
        assert each.lines.startswith(f"[images.{project.service(each.service).image}]\n")


def test_what_else_is_wrong_in_the_former_layout_is_told_at_its_place_at_once(tmp_path: Path):
    tables = (
        '[services.api]\nrepository = "Shop"\nplatforms = [1]\nbuilder = 1979-05-27\n'
        '[services.web]\nrepository = "team/x"\n[services.worker]\nrepository = "team/x"\n'
    )
    faults = [each for each in refusal(tmp_path, with_tables(tables)).splitlines() if not each.startswith(" ")]
    assert [each for each in faults if WHY not in each] == [
        'envs/project.toml:7: services.api.repository: can\'t be "Shop"',
        "envs/project.toml:8: services.api.platforms: can't be [1]",
        'envs/project.toml:9: services.api.builder: can\'t be "1979-05-27"',
        "envs/project.toml:13: services.worker.repository: is the repository of 'web' too: 'team/x'",
    ]


def test_a_value_that_no_key_takes_is_left_to_the_reader(tmp_path: Path):
    said = refusal(tmp_path, with_tables("[services.api]\nbuilder = 1979-05-27\nplatforms = [{ x = 1 }]\n"))
    assert "    [images.api]\n    builder = …\n    platforms = […]\n    [services.api]\n" in said


def test_a_service_whose_name_is_none_is_told_so_and_where_its_keys_belong(tmp_path: Path):
    said = refusal(tmp_path, with_tables('[images.app]\n[services."A b"]\ncontext = "a"\n'))
    assert said == (
        "envs/project.toml:7: services: 'A b' can't be a name here\n"
        "    wanted: lower-case letters, digits and dashes, a letter first, at most 63\n"
        "envs/project.toml:8: services.\"A b\": unknown key 'context'\n"
        "    how an image is built belongs under [images.<image>]"
    )
