"""The page at a glance: a square for each target, how one gets there and back, and how it looks."""

import re
from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from tests.boards import IMAGE, big, board, cell, held, hostile, telling
from tests.browser.conftest import CONTRAST, Open
from tests.browser.seen import style, tenants, type_filter

pytestmark = pytest.mark.browser

GLANCE = "#view=compact"
either_way = pytest.mark.parametrize("script", [True, False])


def switch(opened: Page, name: str) -> None:
    link = opened.get_by_role("link", name=name, exact=True)
    link.focus()
    opened.keyboard.press("Enter")
    expect(opened.locator({"In full": ".full", "At a glance": ".compact"}[name])).to_be_visible()


def squares(opened: Page) -> list[str]:
    """The squares that are seen, in their order."""
    return [" ".join(each.inner_text().split()) for each in opened.locator("a.square:visible").all()]


@either_way
def test_each_target_is_a_square_with_its_short_commit_and_its_marks(open_page: Open, script: bool):
    opened = open_page(telling(), GLANCE, java_script_enabled=script)
    expect(opened.get_by_role("table")).to_have_count(1)
    assert tenants(opened) == ["main", "mb", "new", "zoo"]
    main = opened.get_by_role("row", name="main").get_by_role("link")
    expect(main).to_have_text([re.compile(each, re.DOTALL) for each in ("1a2b3c4", "short.*rolling", "9f8e7d6.*mixed")])
    expect(main.first).to_have_accessible_name("1a2b3c4 as wanted")
    expect(opened.get_by_role("row", name="new").get_by_role("cell").nth(1)).to_contain_text("no such environment")


@either_way
def test_a_keyboard_switches_the_view_and_the_address_keeps_it(open_page: Open, script: bool):
    opened = open_page(telling(), java_script_enabled=script)
    full, glance = opened.locator(".full"), opened.locator(".compact")
    expect(full).to_be_visible()
    expect(glance).to_be_hidden()
    switch(opened, "At a glance")
    expect(glance).to_be_visible()
    expect(full).to_be_hidden()
    assert opened.url.endswith(GLANCE)
    opened.reload()
    expect(glance).to_be_visible()
    switch(opened, "In full")
    expect(full).to_be_visible()
    expect(glance).to_be_hidden()
    opened.go_back()
    expect(glance).to_be_visible()


@either_way
def test_a_square_leads_to_its_target_in_full_and_the_way_back_to_the_squares(open_page: Open, script: bool):
    opened = open_page(big(30), GLANCE, java_script_enabled=script, viewport={"width": 1280, "height": 600})
    opened.locator("[href='#at=tenant-15-prod/web']").press("Enter")
    target = opened.locator("[id='at=tenant-15-prod/web']")
    expect(target).to_be_in_viewport(ratio=0.99)
    place = target.bounding_box()
    at_the_top = f"document.elementFromPoint({place['x'] + 9}, {place['y'] + 3}).closest('td:target') !== null"
    assert opened.evaluate(at_the_top)  # not below the header
    assert style(opened, "td:target", "outlineStyle") == "solid"
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.querySelector('td:target').contains(document.activeElement)")
    opened.go_back()
    expect(opened.locator(".compact")).to_be_visible()


def test_the_view_that_is_seen_is_told_to_screen_readers(open_page: Open):
    opened = open_page(telling(), GLANCE)
    current = opened.locator("[aria-current='true']")
    expect(current).to_have_text("At a glance")
    switch(opened, "In full")
    expect(current).to_have_text("In full")


@pytest.mark.parametrize(("script", "colors"), [(True, "none"), (True, "active"), (False, "none")])
def test_the_view_that_is_seen_is_told_to_the_eye(open_page: Open, script: bool, colors: str):
    opened = open_page(telling(), java_script_enabled=script, forced_colors=colors)
    look = "each => [getComputedStyle(each).backgroundColor, getComputedStyle(each).borderWidth].join()"
    full, glance = (opened.get_by_role("link", name=name, exact=True) for name in ("In full", "At a glance"))
    seen, other = full.evaluate(look), glance.evaluate(look)
    switch(opened, "At a glance")
    expect(opened.locator(".compact")).to_be_visible()
    assert (full.evaluate(look), glance.evaluate(look)) == (other, seen)
    assert seen != other


def test_a_filter_stays_when_the_view_changes_and_a_link_keeps_both(open_page: Open):
    opened = open_page(telling(), GLANCE)
    type_filter(opened, "is:failed mb")
    assert tenants(opened) == ["mb"]
    expect(opened.get_by_role("status")).to_have_text("1 of 4 rows with is:failed and mb")
    again = open_page(telling(), opened.evaluate("location.hash"))
    assert (again.get_by_label("Filter").input_value(), tenants(again)) == ("is:failed mb", ["mb"])
    expect(again.locator(".compact")).to_be_visible()
    for name, seen in (("In full", ".full"), ("At a glance", ".compact")):
        switch(again, name)
        expect(again.locator(seen)).to_be_visible()
        assert (again.get_by_label("Filter").input_value(), tenants(again)) == ("is:failed mb", ["mb"])
    again.get_by_label("Filter").press("Escape")
    assert again.url.endswith(GLANCE)


def test_a_filter_leaves_the_squares_of_the_services_that_it_finds(open_page: Open):
    opened = open_page(big(2), GLANCE)
    expect(opened.get_by_role("status")).to_have_text("2 rows")
    type_filter(opened, "tenant-1 web")
    assert tenants(opened) == ["tenant-1"]
    assert {each.split()[0] for each in squares(opened)} == {"web"}
    type_filter(opened, "")
    assert Counter(each.split()[0] for each in squares(opened)) == {"api": 6, "web": 6}


def test_the_squares_can_be_sorted_by_what_deserves_a_look(open_page: Open):
    opened = open_page(telling(), GLANCE)
    head = opened.get_by_role("columnheader", name="prod")
    head.get_by_role("button").click()
    assert tenants(opened) == ["zoo", "new", "mb", "main"]
    expect(head).to_have_attribute("aria-sort", "ascending")
    switch(opened, "In full")
    assert tenants(opened) == ["main", "mb", "new", "zoo"]


@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_a_table_to_a_screen_reader(open_page: Open, width: int):
    opened = open_page(telling(), GLANCE, viewport={"width": width, "height": 844})
    nodes = opened.context.new_cdp_session(opened).send("Accessibility.getFullAXTree")["nodes"]
    roles = Counter(node["role"]["value"] for node in nodes if not node["ignored"])
    assert [roles[each] for each in ("table", "row", "columnheader", "rowheader", "cell")] == [1, 5, 4, 4, 12]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("media", "width"), [("screen", 1280), ("screen", 390), ("print", 1280)])
def test_every_text_stands_out_from_its_background(open_page: Open, scheme, media, width):
    opened = open_page(held(telling()), GLANCE, color_scheme=scheme, viewport={"width": width, "height": 800})
    opened.emulate_media(media=media, color_scheme=scheme)
    found = opened.evaluate(CONTRAST)
    assert found["counted"] > 70
    assert found["weak"] == []


@pytest.mark.parametrize("made", [telling(), hostile(), big(50)], ids=["telling", "hostile", "big"])
@pytest.mark.parametrize("width", [360, 700, 1920])
def test_no_square_is_cut_off_and_the_page_is_never_wider_than_its_window(open_page: Open, made, width):
    opened = open_page(made, GLANCE, viewport={"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth || each.offsetHeight < 24).length"
    assert opened.locator("a.square").evaluate_all(cut) == 0  # WCAG 2.5.8: a target measures 24 pixels at least
    expect(opened.locator("img")).to_have_count(0)


def test_fifty_tenants_of_two_services_take_a_line_each(open_page: Open):
    opened = open_page(big(50), GLANCE, viewport={"width": 1280, "height": 900})
    heights = opened.locator(".compact tbody tr").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert (len(heights), max(heights) < 32) == (50, True)


@pytest.mark.parametrize("view", ["#view=full", GLANCE])
@pytest.mark.parametrize("width", [1280, 390])
def test_holds_and_locks_are_as_loud_as_marks(open_page: Open, view: str, width: int):
    made = held(board([cell("mb", tier, marks=("behind",)) for tier in ("dev", "staging", "prod")]))
    opened = open_page(made, view, viewport={"width": width, "height": 844})
    mark = opened.locator("section .flag.warn").first
    look = "each => ['color', 'backgroundColor', 'fontWeight', 'fontSize'].map(name => getComputedStyle(each)[name])"
    said = opened.get_by_label("Holds and locks").locator(".flag")
    expect(said).to_have_text(["locked", "on hold", "on hold"])
    there = opened.locator("th .flag:visible, td .flag:visible").filter(has_text=re.compile("on hold|locked"))
    expect(there).to_have_text(["on hold", "locked", "on hold"])
    for each in [*said.all(), *there.all()]:
        assert each.evaluate(look) == mark.evaluate(look)


def test_paper_shows_the_view_that_was_seen_with_all_its_squares(open_page: Open):
    opened = open_page(big(30), GLANCE, color_scheme="dark")
    opened.emulate_media(media="print", color_scheme="dark")
    expect(opened.locator(".full")).to_be_hidden()
    expect(opened.get_by_role("navigation")).to_be_hidden()
    assert len(squares(opened)) == 180
    assert style(opened, ".compact", "overflow") == "visible"
    assert style(opened, ".compact thead", "display") == "table-header-group"
    assert {style(opened, f".square.{tone}", "backgroundColor") for tone in ("warn", "good")} == {"rgb(255, 255, 255)"}
    assert len(re.findall(rb"/Type /Page\b", opened.pdf(prefer_css_page_size=True))) > 1


def test_hostile_words_stay_text_in_the_address_too(open_page: Open):
    opened = open_page(hostile(), GLANCE)
    opened.get_by_role("row").filter(has_text=IMAGE).get_by_role("link").press("Enter")
    expect(opened.locator("td:target")).to_be_visible()
    assert opened.title().endswith(": what runs where")
