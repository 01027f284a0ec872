"""`.dockerignore` means what BuildKit makes of it; the rows follow moby/patternmatcher's own table."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploytasks import dockerignore
from deploytasks.errors import Invalid

IGNORED = [
    ("**", "file"),
    ("**/", "file"),
    ("**", "dir/file"),
    ("**/**", "dir/file"),
    ("dir/**", "dir/sub/file"),
    ("dir", "dir/file"),
    ("dir/", "dir/file"),
    ("/dir", "dir/file"),
    ("./dir", "dir"),
    ("x/../dir", "dir"),
    ("  dir  ", "dir"),
    ("dir\r", "dir"),
    ("**/dir", "dir"),
    ("**/dir", "a/dir/file"),
    ("**/b/*", "a/b/file"),
    ("**/b/**", "a/b/c/file"),
    ("**file", "dir/file"),
    ("**/file*txt", "a/b/file.txt"),
    ("**/**/*.txt", "file.txt"),
    ("a**/*.txt", "a/b/c/file.txt"),
    ("a/*.txt**", "a/file.txt"),
    ("a/**/z", "a/z"),
    ("a[b-d]e", "ace"),
    ("a[^b-d]e", "aze"),
    ("[^a-r]x", "zx"),
    ("[a-ζ]*", "α"),
    ("a[^a]b", "a☺b"),
    ("a?b", "a☺b"),
    (".*", ".foo"),
    ("a\\*b", "a*b"),
    ("\\#x", "#x"),
    ("\\!x", "!x"),
    ("[\\]a]", "]"),
    ("[x\\-]", "-"),
    ("a\\\\", "a\\"),
    ("**/foo/bar", "x/y/foo/bar"),
    ("a.|)$(}+{bc", "a.|)$(}+{bc"),
    ("dist/*.whl", "dist/app-2.4.0+g08-py3.whl"),
    (" #x", "#x"),
    ("\ufefffoo", "foo"),
    ("!**\n*.go", "main.go"),
    ("**\n!web\nweb/x", "web/x"),
    ("dir/x\n!dir", "dir/x"),
]
SEEN = [
    ("", "file"),
    ("readme.md", "README.md"),
    ("[^a-r]x", "bx"),
    ("a\\*b", "axb"),
    ("#x", "#x"),
    ("**/**/*.txt2", "dir/file.txt"),
    ("a/*.txt", "a/b/file.txt"),
    ("a[b-d]e", "ae"),
    ("abc.def", "abcZdef"),
    ("abc?def", "abcdef"),
    ("abc/**", "abc"),
    ("**/.foo", "bar.foo"),
    ("a*/b", "a/c/b"),
    ("a?b", "a/b"),
    ("*[a-ζ]", "A"),
    ("d^*", "d^x"),
    ("!x", "x"),
    (".", "file"),
    ("/", "file"),
    ("docs\n!docs/README.md", "docs/README.md"),
    ("docs/\n!docs/README.md", "docs/README.md"),
    ("docs/*\n!docs/README.md", "docs/README.md"),
    ("**\n!web", "web/foo"),
    ("**\n!dist/*.whl", "dist/a.whl"),
    ("*.md\n!README*.md", "README-secret.md"),
    ("dir\n!dir", "dir/x"),
]


@pytest.mark.parametrize(("text", "path"), IGNORED)
def test_it_is_ignored(text, path):
    assert dockerignore.parse(text).ignores(path)


@pytest.mark.parametrize(("text", "path"), SEEN)
def test_it_is_seen(text, path):
    assert not dockerignore.parse(text).ignores(path)


@pytest.mark.parametrize(
    "pattern",
    ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "!", "!/", "[z-a]", "\\q", "\\1"],
)
def test_a_malformed_pattern_is_refused_with_its_line(pattern):
    with pytest.raises(Invalid, match=r"\.dockerignore:2: "):
        dockerignore.parse(f"good\n{pattern}\n")


def test_all_malformed_patterns_are_told_at_once():
    with pytest.raises(Invalid) as caught:
        dockerignore.parse("[\nx\n!\n", "api/.dockerignore")
    assert [each.where for each in caught.value.complaints] == ["api/.dockerignore:1", "api/.dockerignore:3"]


def test_a_tree_is_ignored_whole_only_without_exceptions():
    assert dockerignore.parse("vendor").ignores_tree("vendor")
    assert not dockerignore.parse("vendor\n!vendor/x").ignores_tree("vendor")
    assert not dockerignore.parse("other").ignores_tree("vendor")


NAMES = st.sampled_from(["a", "b", "ab", "README.md", "readme.md", ".env", "a*b", "#x", "!x", "dir", "x y"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PIECES = st.sampled_from(["a", "b", "*", "**", "?", "/", "dir", ".", "\\*", "[^a]", "[a-c]", "readme.md", "x y", "#x"])
LINES = st.tuples(st.sampled_from(["", "", "!"]), st.lists(PIECES, min_size=1, max_size=4).map("".join)).map("".join)


@given(st.lists(LINES, max_size=4), PATHS)
@settings(max_examples=200, deadline=None)
def test_whatever_is_below_an_ignored_directory_is_ignored_unless_an_exception_names_it(lines, path):
    try:
        matcher = dockerignore.parse("\n".join(lines))
    except Invalid:
        return
    if matcher.ignores_tree(path):
        assert matcher.ignores(f"{path}/below")


FILES = ("a", "ab", "b/a", "b/ab", "dir/x", "dir/a/b", "readme.md", "README.md", ".env", "a*b", "#x", "!x", "x/dir/y")
# `dir/x` with `!dir` is missing: Docker before 23 asked each directory again, and let dir/x in.
FILE_SETS = [
    "dir\n!dir/a/b",
    "readme.md",
    "**/a",
    "*\n!b\nb/a",
    "[^a-r]",
    "\\#x",
    "a\\*b\n\\!x",
    "b/**\n!b/a*",
    "**/dir\n!x/dir/y",
    "# comment\n .env",
]


@pytest.mark.docker
@pytest.mark.parametrize("text", FILE_SETS)
def test_buildkit_says_the_same(text, tmp_path: Path):
    context = tmp_path / "context"
    for name in FILES:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    (context / ".dockerignore").write_text(text)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    matcher = dockerignore.parse(text)
    assert built_files(context, tmp_path) == {name for name in FILES if not matcher.ignores(name)}


def built_files(context: Path, scratch: Path) -> set[str]:
    """What BuildKit puts in the image, exported to a directory."""
    program = shutil.which("docker", path="/usr/bin") or "docker"  # Debian's, whose BuildKit needs no plugin
    command = [program, "build", "-q", "-f", str(scratch / "Dockerfile"), "-o", str(scratch / "out"), str(context)]
    subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=True, capture_output=True)
    out = scratch / "out"
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    return found - {".dockerignore"}
