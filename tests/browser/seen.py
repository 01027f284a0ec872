"""What the tests of the page look for in it."""

from playwright.sync_api import Page


def tenants(opened: Page) -> list[str]:
    """The rows that are seen, in their order."""
    return [head.inner_text().replace("\n", " ") for head in opened.get_by_role("rowheader").all()]


def type_filter(opened: Page, text: str) -> None:
    opened.get_by_label("Filter").fill(text)


def style(opened: Page, selector: str, name: str) -> str:
    return opened.locator(selector).first.evaluate("(each, name) => getComputedStyle(each)[name]", name)
