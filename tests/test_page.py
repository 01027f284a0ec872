"""The board as one page: the whole document, what is counted and sorted by, and that text stays text."""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.errors import Complaint
from deploytasks.model import Board, Cell, Mark, Standing
from deploytasks.model.marks import MARKS, STANDING_WORDS, TIER_MARKS, WORDS, Word
from deploytasks.report import board as text_board
from deploytasks.report.page import page
from deploytasks.report.page.view import rank
from tests.boards import AT, IMAGE, SCRIPT, TIERS, big, board, cell, held, hostile, telling
from tests.reports.situations import DIGEST, NEW, OLD, expect, target

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "deploytasks" / "report" / "page"


class Read(HTMLParser):
    """A document as a parser sees it: its tags in order, their attributes, its text outside style and script."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += "" if self.cdata_elem else data


def tables(document: str) -> list[str]:
    """The table in full, and the one at a glance."""
    return re.findall(r"<table.*?</table>", document, re.DOTALL)


def cells_of(document: str, view: int = 0) -> list[str]:
    """Each cell of the table in full, or of the one at a glance, as the text that it shows."""
    return texts(r"<td.*?</td>", tables(document)[view])


def texts(pattern: str, document: str) -> list[str]:
    return [" ".join(Read(each).text.split()) for each in re.findall(pattern, document, re.DOTALL)]


def only_cell(**changes: object) -> str:
    (text,) = cells_of(page(board([cell("main", "dev", **changes)], tiers=("dev",))))
    return text


def test_the_page_reads_as_expected():
    document = page(held(telling()))
    for name in ("style.css", "script.js"):
        source = (PAGE / name).read_text(encoding="utf-8")
        assert document.count(f">{source}</") == 1
        allowed = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        document = document.replace(source, f"({name})").replace(allowed, f"({name})")
    expect("board.html", document)


def test_a_target_says_what_runs_when_it_was_certified_and_who_began_its_rollout():
    assert only_cell() == (
        "1a2b3c4 Take orders of many articles at once"
        f" commit {NEW} digest {DIGEST} revision shop-dev-api:7 rollout begun 2026-01-02 00:04 UTC"
        " dev-20260101T103000Z certified 2026-01-01 10:30"
        " 2/2 running completed 3h ago by ada CI run revision 7"
    )


def test_what_is_not_known_is_left_out():
    bare = Cell(target("main", tier="dev"), "completed")
    (text,) = cells_of(page(board([bare], tiers=("dev",))))
    assert text == "image not known 0/0 running no task is desired completed"


def test_a_digest_that_no_task_showed_says_how_it_is_known():
    assert "2/2 running, recorded " in only_cell(evidence="recorded")
    assert "2/2 running completed" in only_cell(evidence="seen")


def test_an_image_without_a_commit_tag_is_its_digest():
    assert only_cell(commit="").startswith("sha256:abababababab ")


def test_a_target_whose_tasks_keep_dying_says_how():
    assert only_cell(marks=("crashing",), crashing="3 tasks died").endswith("revision 7 crashing: 3 tasks died")


def test_a_rollout_under_way_says_for_how_long():
    assert "rolling for 3h" in only_cell(standing="rolling")


def test_ages_are_those_at_the_time_of_the_look():
    later = replace(telling(), at=AT + timedelta(days=400))
    assert "completed 400d ago" in cells_of(page(later))[0]


def test_a_target_that_could_not_be_seen_says_what_is_wrong_and_what_to_do():
    mb, own = (text for text in cells_of(page(telling())) if text.startswith("unseen"))
    assert mb == "unseen envs/mb.toml:1: account: the account is 999999999999 fix `profile` there, or sign in"
    assert own == "unseen the account is 999999999999 fix `profile` there, or sign in"


def test_the_headline_counts_as_the_other_reports_do():
    document = Read(page(telling())).text
    assert text_board.summary(telling()) in document


def test_the_legend_explains_every_word_that_can_stand_on_the_board():
    document = page(board([cell("main", "dev")]))
    assert all(f">{word}</span></dt><dd>" in re.sub(r"\n", "", document) for word in WORDS)


def test_a_board_without_targets_says_so():
    text = Read(page(Board("shop", TIERS, (), AT, ("nothing matched",)))).text
    assert "There are no environments to look at." in text
    assert "nothing matched" in text


def test_several_services_have_rows_of_their_own():
    document = page(big(2))
    full, glance = (texts(r'<th scope="row".*?</th>', each) for each in tables(document))
    assert full == ["tenant-0 api", "tenant-0 web", "tenant-1 api", "tenant-1 web"]
    assert glance == ["tenant-0", "tenant-1"]
    assert document.count('<tr class="first">') == 2


def test_at_a_glance_a_target_is_its_service_commit_and_marks():
    cells = [cell("main", "dev", service) for service in ("api", "web")]
    bad = cell("main", "prod", "web", marks=("behind", "failed"), commit=OLD)
    assert cells_of(page(board([*cells, bad])), view=1) == [
        "api 1a2b3c4 as wanted web 1a2b3c4 as wanted",
        "–no such environment –no such environment",
        "–no such service web 9f8e7d6 behind failed",
    ]


def test_at_a_glance_a_board_of_one_service_repeats_no_name_and_what_was_not_seen_has_no_commit():
    unseen, bare = Cell(target("main", tier="dev"), "unseen"), Cell(target("main", tier="prod"), "completed")
    shown = cells_of(page(board([unseen, bare], tiers=("dev", "prod"))), view=1)
    assert shown == ["unseen", "not known as wanted"]


def test_each_square_leads_to_its_target_in_full():
    full, glance = tables(page(board([cell("main", "dev"), cell("mb x", "prod", "wéb")])))
    ids = re.findall(r'<td [^>]*id="([^"]*)"', full)
    assert ids == ["at=dev/api", "at=mb%20x-prod/w%C3%A9b"]
    assert re.findall(r'href="#([^"]*)"', glance) == ids


def test_a_new_mark_shows_in_both_views_the_legend_and_the_headline_by_its_row_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(WORDS, "very new", Word("very new", "this is new", -1, "bad"))  # type: ignore[index]
    document = page(board([cell("main", "dev", marks=("very new",))], tiers=("dev",)))
    full, glance = tables(document)
    assert (cells_of(document)[0][:9], cells_of(document, view=1)) == ("very new ", ["1a2b3c4 very new"])
    assert 'class="flag bad" data-word="very-new" title="this is new"' in full
    assert 'class="square bad"' in glance
    assert "1 very new" in Read(document).text
    assert ">very new</span></dt><dd>this is new</dd>" in document


def test_a_tier_says_in_both_views_that_it_is_on_hold_or_locked_and_a_tenant_that_it_alone_is():
    document = page(held(telling()))
    for table in tables(document):
        assert texts(r'<th scope="col".*?</th>', table) == ["tenant", "dev", "staging on hold", "prod locked"]
        assert [
            texts(r"<td.*?</td>", table).index(each) for each in texts(r"<td.*?</td>", table) if "on hold" in each
        ] == [3]
    said = texts(r"<li>.*?</li>", document)[:3]
    assert [each.partition(":")[0] for each in said] == ["locked prod", "on hold staging", "on hold dev"]
    assert "new2,mb on hold" in said[2]


def test_the_legend_explains_a_hold_and_a_lock():
    document = page(board([cell("main", "dev")]))
    assert all(f">{word.name}</span></dt><dd>{word.meaning}</dd>" in document for word in TIER_MARKS)


@pytest.mark.parametrize("address", ["https://ci.example.com/runs/7?a=1&b=2", "HTTP://ci.example.com"])
def test_an_address_of_the_web_is_a_link(address):
    assert ("href", address) in Read(page(board([cell("main", "dev", ci=address)]))).attributes


@pytest.mark.parametrize(
    "ci",
    ["javascript:alert(1)", "data:text/html,x", " https://x y", "//ci.example.com", "file:///etc/passwd", "by hand"],
)
def test_anything_else_is_no_link(ci):
    read = Read(page(board([cell("main", "dev", ci=ci)])))
    addresses = [value or "" for name, value in read.attributes if name == "href"]
    assert [each for each in addresses if not each.startswith(("#view=", "#at="))] == [addresses[0]]
    assert addresses[0].startswith("data:image/svg+xml,")
    assert f"from {ci}" in read.text


def test_a_password_in_an_address_is_not_shown():
    document = page(board([cell("main", "dev", ci="https://ada:hunter2@ci.example.com/7")]))
    assert "hunter2" not in document


def test_the_gravest_comes_first_and_what_is_not_there_last():
    unseen, failed = Cell(target(), "unseen"), cell("main", "prod", marks=("behind", "failed"))
    rolling, good = cell("main", "prod", marks=("rolling",)), cell("main", "prod")
    assert sorted([None, good, rolling, failed, unseen], key=rank) == [unseen, failed, rolling, good, None]


def filled(text: str) -> Board:
    """A board that has this text wherever a text can stand that is not split into lines."""
    words = dict.fromkeys(("commit", "subject", "release", "by", "override", "wanted"), text)
    fell = Cell(target(text, tier="dev"), "unseen", complaint=Complaint(text, text))
    many = cell(text, "prod", text, digests=(text, text), marks=("behind",), revision=f"{text}:8", **words)
    return Board(text, ("dev", "prod"), (fell, many), AT, (text,))


ORDINARY = Read(page(filled("x")))


@pytest.mark.slow
@given(st.text(min_size=1) | st.sampled_from([SCRIPT, IMAGE, "</style>", "</script>", "<!--", "&lt;", "]]>", "' x='"]))
@example("/")
def test_no_text_changes_what_the_document_is_made_of(text):
    document = page(filled(text))
    read = Read(document)
    assert read.tags == ORDINARY.tags
    assert {name for name, _ in read.attributes} <= {name for name, _ in ORDINARY.attributes}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", document)


def test_hostile_words_are_shown_to_the_letter():
    document = page(hostile())
    read = Read(document)
    assert read.text.count(SCRIPT) >= 6
    assert read.text.count(IMAGE) >= 6
    assert "txt.exe" in read.text
    assert "img" not in read.tags
    assert read.tags.count("script") == 1
    document.encode()


def test_no_data_stands_in_the_script_or_the_style():
    sources = [
        re.findall(r"<(?:script|style)>.*?</(?:script|style)>", page(each), re.DOTALL)
        for each in (telling(), hostile())
    ]
    assert len(sources[0]) == 2
    assert sources[0] == sources[1]


def test_only_style_and_script_are_inserted_unescaped():
    template = (PAGE / "board.html.j2").read_text(encoding="utf-8")
    assert re.findall(r"\S+ *\| *safe|autoescape|Markup", template) == ["style | safe", "script | safe"]


def test_the_page_names_no_address_but_those_of_the_ci_runs():
    document = page(telling()).replace("http://www.w3.org/2000/svg", "")
    assert set(re.findall(r"https?:[^\"]+", document)) == {"https://ci.example.com/runs/7"}
    assert not re.search(r"@import|url\(|\bsrc=", document)


def test_a_plain_copy_of_the_folder_makes_pages(tmp_path):
    shutil.copytree(ROOT / "deploytasks", tmp_path / "deploytasks", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "from datetime import UTC, datetime; from deploytasks.model import Board; from deploytasks.report import page;"
        "print(page.__file__); page.page(Board('shop', (), (), datetime.now(UTC)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(str(tmp_path))


def test_what_is_shortened_is_there_in_full_as_text():
    document = page(board([cell("main", "dev"), cell("mb", "dev", commit=""), cell("zoo", "dev", wanted=OLD)]))
    opened = re.findall(r"<details.*?</details>", document, re.DOTALL)
    texts = [Read(each).text for each in opened]
    assert [(NEW in text, DIGEST in text, OLD in text, "-dev-api:7" in text) for text in texts] == [
        (True, True, False, True),
        (False, True, False, True),
        (True, True, True, True),
    ]


def test_nothing_opens_where_nothing_is_shortened():
    assert "details" not in Read(page(board([Cell(target("main", tier="dev"), "completed")], tiers=("dev",)))).tags


def test_a_word_of_the_board_is_one_row_with_a_gravity_of_its_own():
    assert [word.name for word in MARKS] == list(get_args(Mark))
    assert {word.name for word in STANDING_WORDS} < set(get_args(Standing))
    assert sorted(word.gravity for word in WORDS.values()) == list(range(len(WORDS)))
