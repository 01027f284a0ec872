"""A Dockerfile is read as Docker reads it, and what needs an engine is refused by its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploytasks.builders import dockerfile, recipe
from deploytasks.builders.layer import Copy, Owner, Workdir
from deploytasks.errors import Refusal
from deploytasks.model import Platform
from deploytasks.model.builders import ENGINE, INSTALL

AMD64 = Platform("linux", "amd64")


def evaluated(text, base_config=None, platform=AMD64):
    instructions = dockerfile.parse(text, "Dockerfile")
    return recipe.evaluate(instructions, recipe.base(instructions, platform), base_config or {})


def config(text, **base_config):
    return evaluated("FROM scratch\n" + text, base_config).config


def copies(text, **base_config):
    return [step for step in evaluated("FROM scratch\n" + text, base_config).steps if isinstance(step, Copy)]


def refusal(text):
    with pytest.raises(Refusal) as caught:
        evaluated(text)
    return str(caught.value)


def test_an_instruction_that_needs_an_engine_is_named_with_its_line_and_what_to_install():
    text = 'FROM scratch\n\n# tools\nRUN make \\\n  all\nCMD ["x"]\n'
    assert refusal(text) == (f"Dockerfile:4: RUN needs {ENGINE}\n    {INSTALL}, or remove the line")


def test_all_such_instructions_are_listed_at_once():
    text = "FROM a AS one\nRUN x\nONBUILD USER x\nFROM b\nCOPY --from=one /a /b\nADD --checksum=x a b\n"
    lines = [line for line in refusal(text).splitlines() if not line.startswith(" ")]
    assert lines == [
        f"Dockerfile:2: RUN needs {ENGINE}",
        f"Dockerfile:3: ONBUILD needs {ENGINE}",
        f"Dockerfile:4: a second FROM (a multi-stage build) needs {ENGINE}",
        f"Dockerfile:5: COPY --from needs {ENGINE}",
        f"Dockerfile:6: ADD --checksum needs {ENGINE}",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Dockerfile: there is no FROM"),
        ("# only a comment\n", "Dockerfile: there is no FROM"),
        ("ENV A=1\nFROM scratch", "Dockerfile:1: ENV comes before FROM"),
        ("FROM scratch\nFORM x", "Dockerfile:2: no instruction is called FORM\n    known: FROM, ARG, "),
        ("FROM scratch\nCOPY", "Dockerfile:2: COPY says nothing"),
        ("FROM scratch\nCOPY a", "Dockerfile:2: COPY needs a source and a destination"),
        ("FROM scratch\nCOPY a b c", "Dockerfile:2: COPY of several sources, but 'c' is not a directory"),
        ("FROM scratch\nCOPY <<EOF /a\nx\nEOF", "Dockerfile:2: COPY of a heredoc needs a Docker engine"),
        ("FROM scratch\nCOPY --chown=www:www a b", "Dockerfile:2: COPY --chown=www:www: names are known only inside"),
        ("FROM scratch\nCOPY --chmod=u+x a b", "Dockerfile:2: COPY --chmod=u+x is not an octal mode"),
        ("FROM scratch\nENV A=1 B", "Dockerfile:2: 'B' is not NAME=VALUE"),
        ('FROM scratch\nENV A="1', 'Dockerfile:2: the quote " is not closed'),
        ('FROM scratch\nCOPY "a b" /c/', 'Dockerfile:2: the quote " is not closed'),
        ("FROM scratch\nSTOPSIGNAL FOO", "Dockerfile:2: 'FOO' is not a signal"),
        ("FROM scratch\nENV A=${B", "Dockerfile:2: '${B': a ${ is not closed"),
        ("FROM scratch\nENV A=${B!x}", "Dockerfile:2: ${B!x} is not a variable"),
        ('FROM scratch\nENV A="${B:?say B}"', "Dockerfile:2: B is not set: say B"),
        ("FROM scratch\nEXPOSE http", "Dockerfile:2: 'http' is not a port"),
        ("FROM scratch\nEXPOSE 70000", "Dockerfile:2: '70000' is not a port"),
        ("ARG A=${B\nFROM x", "Dockerfile:1: '${B': a ${ is not closed"),
        ("FROM ${BASE", "Dockerfile:1: '${BASE': a ${ is not closed"),
        ("FROM ${BASE}", "Dockerfile:1: FROM names no image"),
        ("FROM a b", "Dockerfile:1: FROM names no image"),
        ("FROM --platform=linux/arm64 a", "Dockerfile:1: FROM --platform=linux/arm64, but the image is built for"),
        ("# escape=`\nFROM scratch", "Dockerfile:1: another escape character needs a Docker engine"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_line(text, complaint):
    assert refusal(text).startswith(complaint)


def test_comments_blank_lines_and_directives_are_passed_over_within_a_continued_line_too():
    text = "# syntax=docker/dockerfile:1\nfrom scratch\nenv A=1 \\\n\n  # why\n  B=2 \\  \n  C=3\n"
    assert evaluated(text).config["Env"] == ["A=1", "B=2", "C=3"]


def test_a_tab_may_stand_behind_an_instruction():
    assert config("ENV\tA=1 B=2")["Env"] == ["A=1", "B=2"]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("plain", "plain"),
        ("$A-${A}_$B.", "one-one_."),
        ("$Ax", ""),
        ("${B:-d$A}", "done"),
        ("${E-d}|${E:-d}", "|d"),
        ("${A:+yes}|${B:+yes}", "yes|"),
        ("${B:-${A:-x}}", "one"),
        ("'$A'", "$A"),
        ('"$A b"', "one b"),
        (r"\$A", "$A"),
        (r'"\$A \" \n"', r'$A " \n'),
        (r"a\ b", "a b"),
        ("a$", "a$"),
        ("a'b'\"c\"", "abc"),
    ],
)
def test_variables_and_quotes_are_read_as_docker_reads_them(word, value):
    assert dockerfile.expand(word, {"A": "one", "E": ""}) == value


@given(st.text(alphabet="ab$\\\"' {}:-", max_size=12))
def test_any_text_is_split_and_expanded_or_refused_but_never_breaks(text):
    try:
        for word in dockerfile.split(text):
            dockerfile.expand(word, {"a": "b"})
    except dockerfile.Malformed as error:
        assert str(error)


@given(st.lists(st.from_regex(r"[a-z/._-]+", fullmatch=True)))
def test_plain_words_come_back_as_they_were(plain):
    assert list(dockerfile.split("  ".join(plain))) == plain


def test_an_argument_before_from_names_the_base_and_may_be_taken_up_after_it():
    text = "ARG V=3.12\nARG BASE=python:${V}\nFROM $BASE\nENV BEFORE=$V\nARG V\nENV AFTER=$V\nARG V=4\nENV THEN=$V"
    instructions = dockerfile.parse(text, "Dockerfile")
    given_base = recipe.base(instructions, AMD64)
    assert given_base.image == "python:3.12"
    assert recipe.evaluate(instructions, given_base, {}).config["Env"] == ["BEFORE=", "AFTER=3.12", "THEN=4"]


def test_an_argument_that_nobody_gave_a_value_is_not_set():
    text = "ARG X\nFROM ${X-scratch}\nARG X\nENV A=${X-unset}"
    assert evaluated(text).config["Env"] == ["A=unset"]


def test_the_platform_is_known_to_from_and_to_a_stage_that_asks():
    text = "FROM --platform=$TARGETPLATFORM base-$TARGETARCH AS app\nARG TARGETARCH\nENV A=$TARGETARCH"
    instructions = dockerfile.parse(text, "Dockerfile")
    arm = Platform("linux", "arm64")
    given_base = recipe.base(instructions, arm)
    assert given_base.image == "base-arm64"
    assert recipe.evaluate(instructions, given_base, {}).config["Env"] == ["A=arm64"]


def test_env_hides_an_argument_of_the_same_name():
    assert config("ENV A=env\nARG A=arg\nENV B=$A")["Env"] == ["A=env", "B=env"]


def test_env_builds_on_the_base_s_and_on_earlier_lines_only():
    found = config("ENV PATH=/app:$PATH A=1\nENV B=$A A=2\nENV OLD a  b", Env=["PATH=/bin", "Z=z"])
    assert found["Env"] == ["PATH=/app:/bin", "Z=z", "A=2", "B=1", "OLD=a  b"]


def test_labels_and_ports_are_added_to_the_base_s():
    found = config('LABEL a="x y" b=2\nEXPOSE 80 53/udp 90-91', Labels={"a": "0", "z": "z"}, ExposedPorts={"1/tcp": {}})
    assert found["Labels"] == {"a": "x y", "b": "2", "z": "z"}
    assert found["ExposedPorts"] == {"1/tcp": {}, "80/tcp": {}, "53/udp": {}, "90/tcp": {}, "91/tcp": {}}


def test_a_relative_workdir_goes_on_from_the_one_before():
    recipe_ = evaluated("FROM scratch\nWORKDIR app\nWORKDIR ../b/./c/", {"WorkingDir": "/base"})
    assert recipe_.config["WorkingDir"] == "/base/b/c"
    assert recipe_.steps == (Workdir("/base/app"), Workdir("/base/b/c"))


def test_entrypoint_forgets_the_base_s_cmd_but_keeps_its_own():
    assert "Cmd" not in config('ENTRYPOINT ["a"]', Cmd=["base"])
    assert config('CMD ["own"]\nENTRYPOINT ["a"]', Cmd=["base"])["Cmd"] == ["own"]
    assert config('ENTRYPOINT ["a"]\nCMD ["own"]', Cmd=["base"])["Cmd"] == ["own"]
    assert config('CMD ["own"]', Entrypoint=["base"])["Entrypoint"] == ["base"]


def test_the_shell_form_runs_in_the_base_s_shell_and_keeps_its_text():
    assert config('CMD echo "$A" && b')["Cmd"] == ["/bin/sh", "-c", 'echo "$A" && b']
    assert config("CMD x", Shell=["/bin/bash", "-ec"])["Cmd"] == ["/bin/bash", "-ec", "x"]


def test_an_empty_entrypoint_takes_the_base_s_away():
    assert config("ENTRYPOINT []", Entrypoint=["base"])["Entrypoint"] == []


def test_the_user_is_the_last_one_named():
    assert config("ARG U=10\nUSER root\nUSER $U:20")["User"] == "10:20"


@pytest.mark.parametrize(
    ("text", "sources", "destination"),
    [
        ("COPY a /b", ("a",), "/b"),
        ("COPY a b/", ("a",), "/w/b/"),
        ("COPY a .", ("a",), "/w/"),
        ("COPY a ./", ("a",), "/w/"),
        ("COPY a /", ("a",), "/"),
        ("COPY a b /c/", ("a", "b"), "/c/"),
        ('COPY ["a b", "c d/"]', ("a b",), "/w/c d/"),
        ("COPY a$E b", ("a",), "/w/b"),
        ("ARG D=x\nCOPY $D.py ${D}/", ("x.py",), "/w/x/"),
    ],
)
def test_copy_s_sources_and_destination(text, sources, destination):
    (copy,) = copies(text, WorkingDir="/w")
    assert (copy.sources, copy.destination) == (sources, destination)


def test_copy_s_numeric_owner_and_octal_mode():
    (copy,) = copies("COPY --chown=10:20 --chmod=0750 a b")
    assert (copy.owner, copy.mode) == (Owner(10, 20), 0o750)
    assert copies("COPY --chown=10 a b")[0].owner == Owner(10, 10)


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("RUN <<EOF\necho a\nCMD x\nEOF\nUSER 1", ["Dockerfile:2: RUN needs a Docker engine"]),
        ("RUN cat <<'E1' <<-E2 >x\nE2\nE1\n\tE2\nUSER 1", ["Dockerfile:2: RUN needs a Docker engine"]),
        ("COPY <<a.txt /a\nsays\na.txt\nFORM x", ["Dockerfile:2: COPY of a heredoc", "Dockerfile:5: no instruction"]),
        ("RUN <<EOF\nnever ends", ["Dockerfile:2: RUN needs a Docker engine"]),
        ("CMD cat <<EOF\nUSER 1\nRUN x", ["Dockerfile:4: RUN needs a Docker engine"]),
        ("RUN a \\\n <<EOF\nx\nEOF\nUSER 1", ["Dockerfile:2: RUN needs a Docker engine"]),
    ],
)
def test_a_heredoc_is_one_complaint_and_its_body_is_passed_over(text, complaints):
    lines = [line for line in refusal(f"FROM scratch\n{text}\n").splitlines() if not line.startswith(" ")]
    assert len(lines) == len(complaints)
    assert all(line.startswith(complaint) for line, complaint in zip(lines, complaints, strict=True))


def test_another_escape_character_is_one_complaint():
    text = "# syntax=docker/dockerfile:1\n# escape=`\nFROM scratch\nRUN dir `\n  C:\\\nCOPY a b c `\n  d\n"
    assert refusal(text).splitlines()[0] == f"Dockerfile:2: another escape character needs {ENGINE}"
    assert len([line for line in refusal(text).splitlines() if line.startswith("Dockerfile")]) == 1


def test_two_backslashes_at_the_end_of_a_line_continue_nothing():
    assert config("LABEL a=b\\\\\nLABEL c=d")["Labels"] == {"a": "b\\", "c": "d"}


@pytest.mark.parametrize("text", ["ENV PATH", "ENV PATH ", "LABEL key"])
def test_a_name_without_a_value_is_refused(text):
    assert "gives no value" in refusal(f"FROM scratch\n{text}\n")


@pytest.mark.parametrize(("text", "value"), [("a$$b", "ab"), ("$@x", "x"), ("$10y", "y"), ("$", "$"), ("$.", "$.")])
def test_the_shell_s_special_variables_are_empty(text, value):
    assert config(f"ENV A={text}")["Env"][-1] == f"A={value}"


def test_what_runs_nothing_is_configuration():
    found = config(
        'VOLUME /a /b\nSTOPSIGNAL SIGINT\nSHELL ["/bin/bash", "-c"]\nCMD x\nLABEL k some words\n'
        "HEALTHCHECK --interval=1m30s --retries=2 CMD curl -f x || exit 1",
        Volumes={"/z": {}},
    )
    assert found["Volumes"] == {"/z": {}, "/a": {}, "/b": {}}
    assert found["StopSignal"] == "SIGINT"
    assert found["Cmd"] == ["/bin/bash", "-c", "x"]
    assert found["Labels"] == {"k": "some words"}
    health = {"Test": ["CMD-SHELL", "curl -f x || exit 1"], "Interval": 90 * 10**9, "Retries": 2}
    assert found["Healthcheck"] == health
    assert config("HEALTHCHECK NONE", Healthcheck=health)["Healthcheck"] == {"Test": ["NONE"]}
    assert evaluated("FROM scratch\nMAINTAINER Ada A.").author == "Ada A."


LINES = {
    "FROM": "",
    "ARG": "ARG A=1",
    "COPY": "COPY a b",
    "ADD": "ADD a b",
    "ENV": "ENV A=1",
    "LABEL": "LABEL a=1",
    "MAINTAINER": "MAINTAINER Ada",
    "WORKDIR": "WORKDIR /w",
    "USER": "USER 1",
    "EXPOSE": "EXPOSE 80",
    "VOLUME": "VOLUME /v",
    "ENTRYPOINT": "ENTRYPOINT x",
    "CMD": "CMD x",
    "SHELL": 'SHELL ["/bin/bash"]',
    "HEALTHCHECK": "HEALTHCHECK NONE",
    "STOPSIGNAL": "STOPSIGNAL SIGINT",
}


@pytest.mark.parametrize("name", dockerfile.FLAGS)
def test_every_instruction_that_needs_no_engine_is_evaluated(name):
    """One that is added to the table, and that nothing evaluates, fails here."""
    found = evaluated(f"FROM scratch\n{LINES[name]}")
    nothing = evaluated("FROM scratch")
    assert name in ("FROM", "ARG") or found != nothing


@pytest.mark.parametrize("source", ["https://x/y.tgz", "git@github.com:a/b.git", "HTTP://x/y"])
def test_add_of_what_lies_elsewhere_needs_an_engine(source):
    assert refusal(f"FROM scratch\nADD {source} /x\n").startswith(f"Dockerfile:2: ADD {source} needs a Docker engine")
