"""`python -m deploytasks`: its verbs, and how it ends."""

import pytest

import deploytasks
from deploytasks.__main__ import VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert VERBS[verb] in capsys.readouterr().out


@pytest.mark.parametrize("line", [[], ["versoin"], ["version", "--unknown"]])
def test_a_mistyped_line_changes_nothing_and_exits_with_2(line, capsys):
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert ended.value.code == 2
    assert "usage: python -m deploytasks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([], "required: init|completion|version|upgrade"),
        (
            ["init", "--yes", "--tenant", "main"],
            "init: error: unrecognized arguments: --tenant main: did you mean --tenants?",
        ),
        (["version", "--zzz"], "version: error: unrecognized arguments: --zzz\n"),
    ],
)
def test_a_mistyped_line_is_told_what_there_is(line, said: str, capsys):
    with pytest.raises(SystemExit):
        main(line)
    assert said in capsys.readouterr().err


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{deploytasks.__version__}\n")
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"deploytasks {deploytasks.__version__}")
