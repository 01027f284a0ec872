"""The page as people meet it: read, filtered, sorted, printed, in the dark, on a phone, without JavaScript."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.boards import IMAGE, SCRIPT, big, board, cell, hostile, telling
from tests.browser.conftest import Open
from tests.reports.situations import NEW

pytestmark = pytest.mark.browser

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


def tenants(opened: Page) -> list[str]:
    """The rows that are seen, in their order."""
    return [head.inner_text().replace("\n", " ") for head in opened.get_by_role("rowheader").all()]


def type_filter(opened: Page, text: str) -> None:
    opened.get_by_label("Filter").fill(text)


def style(opened: Page, selector: str, name: str) -> str:
    return opened.locator(selector).first.evaluate("(each, name) => getComputedStyle(each)[name]", name)


# --- read -----------------------------------------------------------------------------------------------------


def test_a_person_sees_what_runs_where_and_what_deserves_a_look(open_page: Open):
    opened = open_page(telling())
    expect(opened).to_have_title("shop: what runs where")
    expect(opened.get_by_role("heading", level=1)).to_have_text("shop")
    expect(opened.get_by_text("2026-01-02 03:04")).to_be_visible()
    expect(opened.locator(".summary")).to_contain_text("10 targets: 2 as wanted")
    expect(opened.get_by_role("columnheader")).to_have_text(["tenant", "dev", "staging", "prod"])
    assert tenants(opened) == ["main", "mb", "new", "zoo"]
    failed = opened.get_by_role("row", name="mb").get_by_role("cell").nth(1)
    for words in ("failed", "1a2b3c4", "rolled back 3h ago", "KeyError: 'DATABASE_URL'"):
        expect(failed).to_contain_text(words)
    expect(opened.get_by_role("table", name="What runs where")).to_be_visible()


def test_the_full_commit_is_shown_by_the_pointer(open_page: Open):
    assert open_page(telling()).get_by_title(NEW).first.inner_text() == "1a2b3c4"


def test_it_is_complete_without_javascript(open_page: Open):
    opened = open_page(telling(), java_script_enabled=False)
    assert tenants(opened) == ["main", "mb", "new", "zoo"]
    expect(opened.get_by_role("link", name="CI run").first).to_be_visible()
    expect(opened.get_by_text("the tier's tag names another image")).to_be_visible()
    expect(opened.get_by_label("Filter")).to_be_hidden()
    expect(opened.get_by_role("button")).to_have_count(0)


def test_hostile_words_are_text_for_everybody_to_see(open_page: Open):
    opened = open_page(hostile())
    assert opened.title() == f"</title>{SCRIPT}: what runs where"
    expect(opened.get_by_role("rowheader").filter(has_text=SCRIPT)).to_be_visible()
    expect(opened.get_by_role("cell").filter(has_text=IMAGE)).to_have_count(3)
    expect(opened.locator("img, table script")).to_have_count(0)
    expect(opened.get_by_role("link")).to_have_count(0)
    type_filter(opened, IMAGE)
    expect(opened.get_by_role("status")).to_contain_text(IMAGE.lower())
    opened.get_by_role("button", name="prod", exact=True).click()
    expect(opened.locator("img")).to_have_count(0)


def test_what_slipped_through_would_be_stopped_by_the_pages_own_policy(chromium, file):
    opened, failures = chromium.new_page(), []
    opened.on("requestfailed", lambda request: failures.append(request.failure))
    opened.goto(file(telling()))
    slipped = IMAGE.replace("src=x", "src=http://127.0.0.1:9/")
    with opened.expect_event("requestfailed"):
        opened.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", slipped)
    assert failures == ["csp"]
    assert opened.title() == "shop: what runs where"
    opened.close()


# --- filter ---------------------------------------------------------------------------------------------------


def test_a_filter_leaves_the_rows_that_hold_every_word_and_counts_them(open_page: Open):
    opened = open_page(telling())
    expect(opened.get_by_role("status")).to_have_text("4 rows")
    type_filter(opened, "  ROLLED  mb ")
    assert tenants(opened) == ["mb"]
    expect(opened.get_by_role("status")).to_have_text("1 of 4 rows: rolled mb")


def test_a_filter_finds_a_whole_commit_that_is_only_shown_in_short(open_page: Open):
    opened = open_page(telling())
    type_filter(opened, NEW)
    assert tenants(opened) == ["main", "mb", "new"]


def test_a_mark_is_told_from_a_commits_subject_that_says_the_same(open_page: Open):
    opened = open_page(telling())
    type_filter(opened, "failed")
    assert tenants(opened) == ["mb", "new"]
    type_filter(opened, "is:failed")
    assert tenants(opened) == ["mb"]


def test_escape_shows_all_again(open_page: Open):
    opened = open_page(telling())
    type_filter(opened, 'is:"no such')
    assert tenants(opened) == []
    expect(opened.get_by_role("status")).to_contain_text("0 of 4 rows")
    opened.get_by_label("Filter").press("Escape")
    assert len(tenants(opened)) == 4
    assert opened.evaluate("location.hash") == ""


def test_a_link_keeps_the_filter(open_page: Open):
    opened = open_page(telling())
    type_filter(opened, "zoo & 100 % #1")
    again = open_page(telling(), opened.evaluate("location.hash"))
    expect(again.get_by_label("Filter")).to_have_value("zoo & 100 % #1")
    expect(again.get_by_role("status")).to_contain_text("0 of 4 rows")


def test_going_to_another_filters_link_filters_anew(open_page: Open):
    opened = open_page(telling(), "#filter=main")
    opened.evaluate("location.hash = 'filter=is:unseen'")
    expect(opened.get_by_role("rowheader")).to_have_text(["zoo"])


def test_a_click_on_a_word_filters_by_it_and_another_shows_all(open_page: Open):
    opened = open_page(telling())
    word = opened.get_by_role("button", name="2 unseen")
    word.click()
    assert tenants(opened) == ["zoo"]
    expect(word).to_have_attribute("aria-pressed", "true")
    expect(opened.get_by_label("Filter")).to_have_value("is:unseen")
    word.click()
    assert len(tenants(opened)) == 4
    opened.get_by_role("button", name="rolling", exact=True).click()
    assert tenants(opened) == ["main"]


# --- sort -----------------------------------------------------------------------------------------------------


def test_a_click_on_a_tier_brings_what_deserves_a_look_to_the_top(open_page: Open):
    opened = open_page(telling())
    head = opened.get_by_role("columnheader", name="prod")
    head.get_by_role("button").click()
    assert tenants(opened) == ["zoo", "new", "mb", "main"]
    expect(head).to_have_attribute("aria-sort", "ascending")


def test_the_same_commits_stand_together(open_page: Open):
    commits = [letter * 40 for letter in "cabac"]
    opened = open_page(board(cell(f"t{at}", "dev", commit=commit) for at, commit in enumerate(commits)))
    opened.get_by_role("button", name="dev").click()
    assert tenants(opened) == ["t1", "t3", "t2", "t0", "t4"]


def test_a_second_click_turns_the_order_and_a_third_gives_it_back(open_page: Open):
    opened = open_page(board(cell(f"t{at}", "dev") for at in (2, 10, 1)))
    head = opened.get_by_role("columnheader", name="tenant")
    button = head.get_by_role("button")
    button.focus()
    button.press("Enter")
    assert tenants(opened) == ["t1", "t2", "t10"]
    button.press("Enter")
    assert tenants(opened) == ["t10", "t2", "t1"]
    expect(head).to_have_attribute("aria-sort", "descending")
    button.press("Enter")
    assert tenants(opened) == ["t2", "t10", "t1"]
    assert head.get_attribute("aria-sort") is None


def test_only_one_column_is_sorted_by_and_the_filter_stays(open_page: Open):
    opened = open_page(telling(), "#filter=is:mixed")
    opened.get_by_role("button", name="dev", exact=True).click()
    opened.get_by_role("button", name="prod", exact=True).click()
    expect(opened.locator("[aria-sort]")).to_have_text(["prod"])
    assert tenants(opened) == ["mb", "main"]


# --- looks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("media", ["screen", "print"])
def test_every_text_stands_out_from_its_background(open_page: Open, scheme, media):
    opened = open_page(telling(), color_scheme=scheme)
    opened.emulate_media(media=media, color_scheme=scheme)
    found = opened.evaluate(CONTRAST)
    assert found["counted"] > 90
    assert found["weak"] == []


def test_the_dark_is_dark_and_the_light_is_light(open_page: Open):
    assert style(open_page(telling(), color_scheme="light"), "body", "backgroundColor") == "rgb(247, 247, 245)"
    assert style(open_page(telling(), color_scheme="dark"), "body", "backgroundColor") == "rgb(20, 22, 25)"


def test_paper_is_white_whatever_the_screen_was(open_page: Open):
    opened = open_page(big(8), color_scheme="dark")
    opened.emulate_media(media="print", color_scheme="dark")
    assert {
        style(opened, each, "backgroundColor") for each in ("body", "thead th", "tbody th", "td.warn", ".flag")
    } == {"rgb(255, 255, 255)"}
    assert {style(opened, each, "color") for each in ("body", "td .image", ".flag", "a")} == {"rgb(0, 0, 0)"}


def test_paper_shows_the_whole_table_with_its_header_on_every_sheet(open_page: Open):
    opened = open_page(big(30))
    opened.emulate_media(media="print")
    assert style(opened, ".scroll", "overflow") == "visible"
    assert style(opened, "thead", "display") == "table-header-group"
    assert style(opened, "thead th", "position") == "static"
    assert style(opened, "thead th button", "display") == "contents"  # Chromium repeats no button
    expect(opened.get_by_label("Filter")).to_be_hidden()
    expect(opened.get_by_text("60 rows")).to_be_hidden()
    assert len(re.findall(rb"/Type /Page\b", opened.pdf(prefer_css_page_size=True))) > 3


def test_paper_says_what_was_left_out(open_page: Open):
    opened = open_page(telling(), "#filter=is:failed")
    opened.emulate_media(media="print")
    expect(opened.get_by_text("1 of 4 rows: is:failed")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "height", "made"), [(360, 740, telling()), (360, 740, hostile()), (1600, 900, big(60))]
)
def test_the_page_is_never_wider_than_its_window(open_page: Open, width, height, made):
    opened = open_page(made, viewport={"width": width, "height": height})
    assert opened.evaluate("document.documentElement.scrollWidth") == width


def test_headers_stay_in_sight_while_the_table_is_scrolled(open_page: Open):
    opened = open_page(big(60), viewport={"width": 360, "height": 740})
    corner, last = opened.get_by_role("columnheader", name="tenant"), opened.get_by_role("rowheader").last
    before = corner.bounding_box()
    opened.locator(".scroll").evaluate("each => each.scrollTo(400, 2000)")
    assert corner.bounding_box() == before
    assert last.bounding_box()["x"] == before["x"]


def test_a_keyboard_reaches_everything_and_shows_where_it_is(open_page: Open):
    opened = open_page(board([cell("main", "dev", marks=("behind",))], tiers=("dev",)))
    reached = []
    for _ in range(6):
        opened.keyboard.press("Tab")
        assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        reached.append(opened.evaluate("document.activeElement.textContent || document.activeElement.type"))
    assert reached[2].strip().startswith("What runs where: tenants down")
    assert [*reached[:2], *reached[3:]] == ["1 behind", "search", "tenant", "dev", "CI run"]


def test_nothing_moves_by_itself(open_page: Open):
    opened = open_page(telling())
    moving = "each => each.getAnimations().length || getComputedStyle(each).transitionDuration !== '0s'"
    assert opened.evaluate(f"Array.from(document.querySelectorAll('*')).filter({moving}).length") == 0
