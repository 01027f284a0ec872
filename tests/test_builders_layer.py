"""COPY and WORKDIR become one layer that is the same wherever it is made, and that fits on its base."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.builders import layer
from deploytasks.builders.context import visible
from deploytasks.builders.layer import Copy, File, Owner, Workdir
from deploytasks.builders.tree import Directory, Link, Tree
from deploytasks.errors import BuildFailed, Refusal
from tests.registry import digest_of


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    for name, text in {
        "Dockerfile": "FROM scratch",
        "app.py": "print()",
        "lib.py": "x = 1",
        "static/css/site.css": "a {}",
        "static/logo.svg": "<svg/>",
        "secret.env": "PASSWORD=x",
        "cache/x.pyc": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def laid(context, *steps, tree=None):
    seen = visible(context, context / "Dockerfile")
    return layer.entries(context, seen, steps, tree or Tree())


def copy(*sources, to, owner=None, mode=None):
    return Copy("Dockerfile:2", sources, to, owner or Owner(), mode)


def archive(*members):
    """A layer as a base has it: `dir/`, `link -> target`, `.wh.gone` or a file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member in members:
            name, arrow, target = member.partition(" -> ")
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode = 0o755
            if arrow:
                info.type, info.linkname = tarfile.SYMTYPE, target
            elif name.endswith("/"):
                info.type = tarfile.DIRTYPE
            tar.addfile(info)
    packed.seek(0)
    return packed


def tree_of(*layers):
    tree = Tree()
    for members in layers:
        tree.add_layer(archive(*members))
    return tree


def test_a_file_becomes_the_destination(context):
    assert set(laid(context, copy("app.py", to="/srv/main.py"))) == {"srv", "srv/main.py"}


def test_a_file_goes_into_a_destination_with_a_slash(context):
    assert set(laid(context, copy("app.py", to="/srv/"))) == {"srv", "srv/app.py"}


def test_a_file_goes_into_a_directory_of_the_base_without_a_slash(context):
    assert set(laid(context, copy("app.py", to="/srv"), tree=tree_of(["srv/"]))) == {"srv", "srv/app.py"}


def test_a_file_goes_into_a_directory_that_workdir_made(context):
    assert set(laid(context, Workdir("/srv"), copy("app.py", to="/srv"))) == {"srv", "srv/app.py"}


def test_a_directory_s_content_goes_into_the_destination(context):
    assert set(laid(context, copy("static", to="/www"))) == {"www", "www/css", "www/css/site.css", "www/logo.svg"}


def test_a_star_never_stands_for_a_slash(context):
    assert set(laid(context, copy("*.py", to="/a/"))) == {"a", "a/app.py", "a/lib.py"}
    assert set(laid(context, copy("s*/c*/*.css", to="/a/"))) == {"a", "a/site.css"}
    assert set(laid(context, copy("[^a]*.py", to="/a/"))) == {"a", "a/lib.py"}


def test_the_whole_context_is_copied_to_the_root_without_an_entry_for_the_root(context):
    entries = laid(context, copy(".", to="/"))
    assert "" not in entries and "static/css/site.css" in entries and "Dockerfile" in entries


def test_a_later_copy_replaces_an_earlier_one(context):
    entries = laid(context, copy("app.py", to="/x"), copy("lib.py", to="/x"))
    assert entries["x"] == File(context / "lib.py", 0o644, Owner())


def test_parents_come_before_what_is_in_them(context):
    names = list(laid(context, copy("app.py", to="/a-b/x"), copy("static", to="/a")))
    assert names == ["a", "a/css", "a/css/site.css", "a/logo.svg", "a-b", "a-b/x"]


def test_owner_and_mode_are_those_asked_for_and_new_directories_belong_to_the_owner(context):
    entries = laid(context, copy("app.py", to="/d/x", owner=Owner(10, 20), mode=0o750))
    assert entries["d/x"] == File(context / "app.py", 0o750, Owner(10, 20))
    assert entries["d"] == Directory(0o755, 10, 20)


def test_a_link_inside_a_directory_stays_a_link_and_a_named_one_is_followed(context):
    (context / "static" / "link").symlink_to("logo.svg")
    assert laid(context, copy("static", to="/w"))["w/link"] == Link("logo.svg")
    assert laid(context, copy("static/link", to="/w/"))["w/link"] == File(context / "static/logo.svg", 0o644, Owner())


def test_a_source_that_is_not_there_is_named_with_its_line(context):
    with pytest.raises(BuildFailed) as caught:
        laid(context, copy("nope.py", to="/x"))
    assert str(caught.value).startswith("Dockerfile:2: COPY nope.py: is not in the build context")


def test_an_ignored_source_says_that_it_is_ignored(context):
    (context / ".dockerignore").write_text("*.env\n")
    with pytest.raises(BuildFailed, match=r"COPY secret.env: is ignored by .dockerignore"):
        laid(context, copy("secret.env", to="/x"))


@pytest.mark.parametrize("destination", ["/app.jar", "/srv/app.jar"])
@pytest.mark.parametrize("source", ["libs/*.jar", "libs/?.jar", "l*/[a-b].jar"])
def test_several_files_do_not_become_one(context, source, destination):
    for name in ("a.jar", "b.jar"):
        (context / "libs").mkdir(exist_ok=True)
        (context / "libs" / name).touch()
    with pytest.raises(Refusal, match=r"Dockerfile:2: 2 files match \(libs/a.jar, libs/b.jar\)"):
        laid(context, copy(source, to=destination))
    assert set(laid(context, copy(source, to="/srv/"))) == {"srv", "srv/a.jar", "srv/b.jar"}
    assert set(laid(context, copy(source, to="/srv"), tree=tree_of(["srv/"]))) == {"srv", "srv/a.jar", "srv/b.jar"}


@pytest.mark.parametrize("source", ["link", "link*", "dirlink/.env", "chain"])
def test_a_link_to_what_is_ignored_copies_nothing(context, source):
    (context / ".dockerignore").write_text("**/.env\n")
    (context / "static/.env").write_text("SECRET")
    (context / "link").symlink_to("static/.env")
    (context / "chain").symlink_to("link")
    (context / "dirlink").symlink_to("static")
    with pytest.raises(BuildFailed, match=r"is ignored by .dockerignore"):
        laid(context, copy(source, to="/x"))
    assert ".env" not in laid(context, copy("dirlink", to="/"))


def test_a_link_is_followed_inside_the_context_as_in_a_chroot(context):
    (context / "rooted").symlink_to("/app.py")
    (context / "dirlink").symlink_to("../../static")
    assert laid(context, copy("rooted", to="/x"))["x"] == File(context / "app.py", 0o644, Owner())
    assert set(laid(context, copy("dirlink/css", to="/c"))) == {"c", "c/site.css"}


def test_an_archive_is_not_added(context):
    with tarfile.open(context / "a.tgz", "w:gz") as tar:
        tar.add(context / "app.py", "app.py")
    (context / "b.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    for name in ("a.tgz", "b.zst"):
        with pytest.raises(Refusal, match="a Docker engine would unpack it"):
            laid(context, replace(copy(name, to="/x"), unpacks=True))
    assert set(laid(context, replace(copy("app.py", to="/x"), unpacks=True))) == {"x"}


@pytest.mark.parametrize("source", ["../outside", "link", "dir/../../outside"])
def test_nothing_outside_the_context_is_copied(context, source):
    (context.parent / "outside").write_text("secret")
    (context / "link").symlink_to("../outside")
    with pytest.raises(BuildFailed, match="COPY"):
        laid(context, copy(source, to="/x"))


def test_a_file_does_not_replace_a_directory_of_the_layer(context):
    (context / "css").write_text("a file")
    with pytest.raises(BuildFailed, match="/w/css is a directory already"):
        laid(context, copy("static", to="/w"), copy("app.py", "css", to="/w/"))


def test_a_pipe_is_refused(context):
    os.mkfifo(context / "static" / "pipe")
    with pytest.raises(BuildFailed, match="is not a file, directory or link"):
        laid(context, copy("static", to="/w"))


def test_dockerignore_keeps_files_out_and_lets_exceptions_in(context):
    (context / ".dockerignore").write_text("# no secrets\n*.env\nstatic\n!static/css\n**/*.pyc\n.dockerignore\n")
    entries = laid(context, copy(".", to="/a/"))
    files = {name for name, entry in entries.items() if isinstance(entry, File)}
    assert files == {"a/Dockerfile", "a/app.py", "a/lib.py", "a/static/css/site.css"}


def test_a_dockerfile_s_own_ignore_file_wins(context):
    (context / ".dockerignore").write_text("app.py\n")
    (context / "Dockerfile.dockerignore").write_text("lib.py\n")
    seen = visible(context, context / "Dockerfile")
    assert "app.py" in seen and "lib.py" not in seen


def test_a_link_of_the_base_is_followed_and_not_hidden(context):
    tree = tree_of(["usr/", "usr/bin/", "bin -> usr/bin", "var/", "run/", "var/run -> /run"])
    entries = laid(context, copy("app.py", to="/bin/app"), copy("lib.py", to="/var/run/x/"), tree=tree)
    assert set(entries) == {"usr", "usr/bin", "usr/bin/app", "run", "run/x", "run/x/lib.py"}


def test_a_directory_of_the_base_keeps_its_mode_and_owner(context):
    tree = Tree({"tmp": Directory(0o1777, 0, 0), "home": Directory(), "home/app": Directory(0o700, 10, 10)})
    entries = laid(context, copy("app.py", to="/tmp/"), copy("lib.py", to="/home/app/", owner=Owner(5, 5)), tree=tree)
    assert entries["tmp"] == Directory(0o1777, 0, 0)
    assert entries["home/app"] == Directory(0o700, 10, 10)


def test_whiteouts_take_away_what_a_lower_layer_had():
    tree = tree_of(
        ["a/", "a/b/", "a/l -> b", "opaque/", "opaque/x/", "c -> a"],
        ["a/.wh.l", ".wh.c", "opaque/", "opaque/.wh..wh..opq", "opaque/y/"],
    )
    assert set(tree.nodes) == {"a", "a/b", "opaque", "opaque/y"}


def test_a_file_takes_the_place_of_a_directory_and_a_directory_that_of_a_link():
    assert set(tree_of(["a/", "a/b/", "l -> a"], ["a", "l/"]).nodes) == {"l"}


def test_links_that_lead_in_a_circle_or_above_the_root_end():
    tree = tree_of(["a -> b", "b -> a", "up -> ../../../etc"])
    assert tree.follow("/a/x") in ("a/x", "b/x")
    assert tree.follow("/up/passwd") == "etc/passwd"


def members(packed):
    with tarfile.open(packed.path) as tar:
        return tar.getmembers()


def test_a_layer_names_nobody_and_no_time(context, tmp_path):
    packed = layer.pack(laid(context, Workdir("/srv"), copy(".", to="/srv/")), tmp_path / "layer")
    assert {(each.mtime, each.uname, each.gname, each.uid, each.gid) for each in members(packed)} == {(0, "", "", 0, 0)}
    assert packed.path.read_bytes()[3:8] == b"\0\0\0\0\0"  # gzip's flags and time


def test_digest_and_diff_id_are_those_of_the_blob_and_of_the_tar_in_it(context, tmp_path):
    packed = layer.pack(laid(context, copy("app.py", to="/x")), tmp_path / "layer")
    blob = packed.path.read_bytes()
    assert packed.digest == digest_of(blob)
    assert packed.diff_id == digest_of(gzip.decompress(blob))
    assert packed.size_bytes == len(blob)


NAMES = st.from_regex(r"[a-z]{1,8}(/[a-zé ]{1,120}){0,2}", fullmatch=True)
FILES = st.dictionaries(NAMES, st.tuples(st.binary(max_size=64), st.booleans()), min_size=1, max_size=6)


def write(root: Path, files, *, umask: int, at: int) -> None:
    before = os.umask(umask)
    try:
        for name, (content, executable) in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
            (root / name).chmod((0o777 if executable else 0o666) & ~umask)
            os.utime(root / name, (at, at))
    finally:
        os.umask(before)


def fits(files) -> bool:
    """No name is both a file and a directory."""
    names = [name.strip() for name in files]
    return not any(other.startswith(f"{name}/") for name in names for other in names)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES.filter(fits))
def test_the_same_files_make_the_same_layer_whatever_the_order_the_time_and_the_umask(tmp_path_factory, files):
    digests = set()
    for order, umask, at in ((sorted(files.items()), 0o022, 0), (sorted(files.items(), reverse=True), 0o002, 10**9)):
        root = tmp_path_factory.mktemp("context")
        write(root, order, umask=umask, at=at)
        packed = layer.pack(laid(root, copy(".", to="/app/")), tmp_path_factory.mktemp("out") / "layer")
        digests.add((packed.digest, packed.diff_id))
        read = {each.name for each in members(packed) if each.isfile()}
        assert read == {f"app/{name}" for name in files}
    assert len(digests) == 1


def test_another_content_mode_or_name_makes_another_layer(context, tmp_path):
    def digest():
        return layer.pack(laid(context, copy(".", to="/app/")), tmp_path / "layer").digest

    digests = [digest()]
    (context / "app.py").write_text("print(2)")
    digests.append(digest())
    (context / "app.py").chmod(0o755)
    digests.append(digest())
    (context / "app.py").rename(context / "main.py")
    digests.append(digest())
    assert len(set(digests)) == 4
