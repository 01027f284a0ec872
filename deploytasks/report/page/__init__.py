"""Render the board as one HTML page.

The page makes no requests (its own policy forbids them) and is complete without its script. `view` chooses what to
say, `board.html.j2` lays it out; style and script are constant files.
"""

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from deploytasks.model import Board
from deploytasks.report.page.view import view
from deploytasks.report.text import one_line

__all__ = ["page"]


def page(board: Board) -> str:
    """Return the whole document: a pure function of the board, with ages relative to `board.at`."""
    style, script = _source("style.css"), _source("script.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("board.html.j2")
    return template.render(view(board), policy=policy, style=style, script=script)


def _environment() -> Environment:
    """Return an environment in which whatever the template inserts is made harmless, then escaped, save markup."""
    return Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        finalize=lambda each: each if hasattr(each, "__html__") else one_line(str(each)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    """Return the name of an inline style or script in a content security policy, which blocks all others."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
