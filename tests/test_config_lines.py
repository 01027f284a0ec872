"""Lines of keys in TOML, for complaints and provenance."""

import pytest

from deploytasks.config.lines import dotted, line_of, locate, parts
from deploytasks.model import Origin

TEXT = '''\
# account = "a comment"
account = "1" # cluster = 2
list = [
  1, # ]
  "]", '[',
]
text = """
fake = 1
[fake.table]
"""
raw = \'\'\'
fake = 2 " \'\'\'
inline = { a = 1, b = [ { c = 2 } ] }

[ tiers . "prod.eu" ]
env.LOG = "x"
  'cpu' = 1
"mem\\u006fry" = 2
[[many]]
key = 1
[tiers.dev.services.api]
wave = 1'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("account",), 2),
        (("list",), 3),
        (("text",), 7),
        (("raw",), 11),
        (("inline",), 13),
        (("inline", "a"), 13),
        (("tiers",), 15),
        (("tiers", "prod.eu"), 15),
        (("tiers", "prod.eu", "env"), 16),
        (("tiers", "prod.eu", "env", "LOG"), 16),
        (("tiers", "prod.eu", "cpu"), 17),
        (("tiers", "prod.eu", "memory"), 18),
        (("many", "key"), 20),
        (("tiers", "dev"), 21),
        (("tiers", "dev", "services", "api", "wave"), 22),
        (("tiers", "dev", "account"), 21),
        (("cluster",), 0),
        (("fake",), 0),
        ((), 0),
    ],
)
def test_a_key_is_found_at_its_line_or_at_that_of_the_table_around_it(path, line):
    assert line_of(TEXT, path) == line


def test_windows_line_ends_count_once():
    assert line_of('a = 1\r\n[b]\r\nc = """\r\n"""\r\nd = 1\r\n', ("b", "d")) == 5


@pytest.mark.parametrize("path", [("a", "b"), ("a.b", "c"), ('q"', "\\"), ("", "x"), ("ü", "\n\t")])
def test_a_dotted_key_can_be_taken_apart_again(path):
    assert parts(dotted(*path)) == path


def test_only_what_is_no_bare_key_is_quoted():
    assert dotted("env", "LOG_LEVEL", "a.b") == 'env.LOG_LEVEL."a.b"'


def test_an_origin_gets_its_line_from_its_file(tmp_path):
    (tmp_path / "x.toml").write_text(TEXT)
    assert locate(tmp_path, Origin("x.toml", 'tiers."prod.eu".cpu')).line == 17


def test_an_origin_whose_file_is_gone_stays_as_it_is(tmp_path):
    assert locate(tmp_path, Origin("x.toml", "cpu")) == Origin("x.toml", "cpu")
