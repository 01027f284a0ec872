"""The page as people meet it: read, filtered, sorted, by pointer, by keyboard and without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from deploytasks.model import Cell
from deploytasks.model.marks import TIER_MARKS, WORDS
from tests.boards import IMAGE, SCRIPT, board, cell, hostile, telling
from tests.browser.conftest import Open
from tests.browser.seen import tenants, type_filter
from tests.reports.situations import DIGEST, NEW, OLD, target

pytestmark = pytest.mark.browser


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


@pytest.mark.parametrize("script", [True, False])
def test_the_full_names_are_shown_to_a_keyboard_too(open_page: Open, script: bool):
    opened = open_page(telling(), java_script_enabled=script)
    target = opened.get_by_role("row", name="main").get_by_role("cell").nth(2)
    full = target.get_by_text(OLD, exact=True)
    expect(full).to_be_hidden()
    target.locator("summary").focus()
    opened.keyboard.press("Enter")
    for text in (OLD, DIGEST, NEW, "shop-prod-api:7"):
        expect(target.get_by_text(text, exact=True)).to_be_visible()
    full.click()
    assert opened.evaluate("getSelection().toString()").strip() == OLD


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
    expect(opened.get_by_role("link")).to_have_text(["In full", "At a glance"])
    type_filter(opened, IMAGE)
    expect(opened.get_by_role("status")).to_contain_text(IMAGE.lower().replace(" ", " and "))
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


def test_a_filter_leaves_the_rows_that_hold_every_word_and_counts_them(open_page: Open):
    opened = open_page(telling())
    expect(opened.get_by_role("status")).to_have_text("4 rows")
    type_filter(opened, "  ROLLED  mb ")
    assert tenants(opened) == ["mb"]
    expect(opened.get_by_role("status")).to_have_text("1 of 4 rows with rolled and mb")


def test_a_row_that_holds_but_one_of_the_words_is_not_shown_and_that_is_said(open_page: Open):
    opened = open_page(telling())
    expect(opened.get_by_label("Filter")).to_have_accessible_description(re.compile("every word"))
    type_filter(opened, "main zoo")
    assert tenants(opened) == []
    expect(opened.get_by_role("status")).to_have_text("none of 4 rows has main and zoo together (Escape shows all)")


@pytest.mark.parametrize("text", ["is:nope", "main is:nope", 'is:"nope'])
def test_a_mark_that_there_is_not_is_no_true_zero(open_page: Open, text: str):
    opened = open_page(telling())
    type_filter(opened, text)
    name = text.partition("is:")[2]
    marks = ", ".join(word.token for word in WORDS.values())
    expect(opened.get_by_role("status")).to_have_text(f"no mark is called {name}; marks: {marks}")
    expect(opened.get_by_label("Filter")).to_have_attribute("aria-invalid", "true")
    type_filter(opened, "is:behind")
    assert tenants(opened) == ["main"]
    expect(opened.get_by_label("Filter")).to_have_attribute("aria-invalid", "false")


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
    type_filter(opened, '"no such')
    assert tenants(opened) == []
    expect(opened.get_by_role("status")).to_contain_text("none of 4 rows")
    opened.get_by_label("Filter").press("Escape")
    assert len(tenants(opened)) == 4
    assert opened.evaluate("location.hash") == ""


def test_a_link_keeps_the_filter(open_page: Open):
    opened = open_page(telling())
    type_filter(opened, "zoo & 100 % #1")
    again = open_page(telling(), opened.evaluate("location.hash"))
    expect(again.get_by_label("Filter")).to_have_value("zoo & 100 % #1")
    expect(again.get_by_role("status")).to_contain_text("none of 4 rows")


def test_going_to_another_filters_link_filters_anew(open_page: Open):
    opened = open_page(telling(), "#filter=main")
    opened.evaluate("location.hash = 'filter=is:unseen'")
    expect(opened.get_by_role("rowheader")).to_have_text(["zoo"])


def test_each_word_of_the_legend_filters_by_itself_however_many_words_it_has(open_page: Open):
    opened = open_page(board([Cell(target("main", tier="dev"), "deployed by CODE_DEPLOY"), cell("mb", "dev")]))
    for word in WORDS:
        opened.locator("section").get_by_role("button", name=word, exact=True).click()
        assert tenants(opened) == (["main"] if word == "deployed by CODE_DEPLOY" else []), word
        expect(opened.get_by_role("status")).to_contain_text(
            f"with is:{WORDS[word].token}" if tenants(opened) else "none of"
        )


def test_no_word_of_the_legend_is_broken(open_page: Open):
    opened = open_page(telling())
    heights = opened.locator("dt .flag").evaluate_all("flags => flags.map(flag => flag.offsetHeight)")
    assert len(heights) == len(WORDS) + len(TIER_MARKS) and len(set(heights)) == 1


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
