"""How the page looks: in the light and the dark, on paper, on a phone, where it is wider than its window."""

import re
from collections import Counter

import pytest
from playwright.sync_api import expect

from deploytasks.model import Board
from tests.boards import big, board, cell, hostile, telling
from tests.browser.conftest import CONTRAST, Open
from tests.browser.seen import style, tenants

pytestmark = pytest.mark.browser


def five_tiers(tenants: int = 3) -> Board:
    """As many tiers as there can be, each tenant with all of them."""
    tiers = ("dev", "qa", "staging", "beta", "prod")
    return board((cell(f"t{at}", tier) for at in range(tenants) for tier in tiers), tiers=tiers)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("media", "width"), [("screen", 1280), ("screen", 390), ("print", 1280)])
def test_every_text_stands_out_from_its_background(open_page: Open, scheme, media, width):
    opened = open_page(telling(), color_scheme=scheme, viewport={"width": width, "height": 800})
    opened.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
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
    assert {style(opened, each, "color") for each in ("body", "td .image", ".flag", "td a")} == {"rgb(0, 0, 0)"}


def test_paper_shows_the_whole_table_with_its_header_on_every_sheet(open_page: Open):
    opened = open_page(big(30))
    opened.emulate_media(media="print")
    assert style(opened, ".full", "overflow") == "visible"
    assert style(opened, "thead", "display") == "table-header-group"
    assert style(opened, "thead th", "position") == "static"
    assert style(opened, "thead th button", "display") == "contents"  # Chromium repeats no button
    expect(opened.get_by_label("Filter")).to_be_hidden()
    expect(opened.get_by_text("60 rows")).to_be_hidden()
    assert len(re.findall(rb"/Type /Page\b", opened.pdf(prefer_css_page_size=True))) > 3


def test_paper_says_what_was_left_out(open_page: Open):
    opened = open_page(telling(), "#filter=is:failed")
    opened.emulate_media(media="print")
    expect(opened.get_by_text("1 of 4 rows with is:failed")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "height", "made"), [(360, 740, telling()), (360, 740, hostile()), (1600, 900, big(60))]
)
def test_the_page_is_never_wider_than_its_window(open_page: Open, width, height, made):
    opened = open_page(made, viewport={"width": width, "height": height})
    assert opened.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [390, 700, 950])
@pytest.mark.parametrize("made", [telling(), five_tiers()])
def test_where_a_table_has_no_room_every_target_is_seen_whole_with_its_tiers_name(open_page: Open, width, made):
    opened = open_page(made, viewport={"width": width, "height": 844})
    for text in opened.locator("td p, td summary").all():
        place = text.bounding_box()
        assert place["x"] >= 0 and place["x"] + place["width"] <= width
    labels = "each => getComputedStyle(each, '::before').content"
    assert [each.evaluate(labels) for each in opened.locator("tbody tr").first.locator("td").all()] == [
        f'"{tier}" / ""' for tier in made.tiers
    ]
    expect(opened.locator(".full")).not_to_have_class(re.compile("more"))


def test_it_is_a_table_to_a_screen_reader_on_a_phone_too(open_page: Open):
    opened = open_page(telling(), viewport={"width": 390, "height": 844})
    nodes = opened.context.new_cdp_session(opened).send("Accessibility.getFullAXTree")["nodes"]
    roles = Counter(node["role"]["value"] for node in nodes)
    assert {role: roles[role] for role in ("table", "row", "columnheader", "rowheader", "cell")} == {
        "table": 1,
        "row": 5,
        "columnheader": 4,
        "rowheader": 4,
        "cell": 12,
    }


def test_a_phone_can_sort_as_well(open_page: Open):
    opened = open_page(telling(), viewport={"width": 390, "height": 844})
    opened.get_by_role("button", name="prod", exact=True).click()
    assert tenants(opened) == ["zoo", "new", "mb", "main"]


def test_a_table_that_goes_on_to_the_right_fades_out_there_until_its_end_is_reached(open_page: Open):
    opened = open_page(five_tiers(), viewport={"width": 1280, "height": 800})
    frame = opened.locator(".full")
    expect(frame).to_have_class(re.compile("more"))
    assert "gradient" in style(opened, ".full", "maskImage")
    frame.evaluate("each => each.scrollTo(10000, 0)")
    expect(frame).not_to_have_class(re.compile("more"))
    opened.set_viewport_size({"width": 1700, "height": 800})
    expect(frame).not_to_have_class(re.compile("more"))


def test_headers_stay_in_sight_while_the_table_is_scrolled(open_page: Open):
    opened = open_page(five_tiers(60), viewport={"width": 1000, "height": 740})
    corner, last = opened.get_by_role("columnheader", name="tenant"), opened.get_by_role("rowheader").last
    before = corner.bounding_box()
    opened.locator(".full").evaluate("each => each.scrollTo(400, 2000)")
    assert corner.bounding_box() == before
    assert last.bounding_box()["x"] == before["x"]


def test_a_keyboard_reaches_everything_and_shows_where_it_is(open_page: Open):
    opened = open_page(board([cell("main", "dev", marks=("behind",))], tiers=("dev",)))
    reached = []
    for _ in range(9):
        opened.keyboard.press("Tab")
        assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        reached.append(opened.evaluate("document.activeElement.textContent || document.activeElement.type"))
    assert reached[4].strip().startswith("What runs where: tenants down")
    subject = "1a2b3c4 Take orders of many articles at once"
    before = ["1 behind", "In full", "At a glance", "search"]
    assert [*reached[:4], *reached[5:]] == [*before, "tenant", "dev", subject, "CI run"]


def test_nothing_moves_by_itself(open_page: Open):
    opened = open_page(telling())
    moving = "each => each.getAnimations().length || getComputedStyle(each).transitionDuration !== '0s'"
    assert opened.evaluate(f"Array.from(document.querySelectorAll('*')).filter({moving}).length") == 0
