"""Where a service template says something else than the live service: told, since no deploy changes that."""

from collections.abc import Iterable, Iterator, Sequence

from deploytasks.errors import Invalid, listed
from deploytasks.journey import rolling
from deploytasks.journey.errand import Errand
from deploytasks.journey.preflight import Note
from deploytasks.model import Definition, Live, Wish, shown
from deploytasks.template.render import Renderer
from deploytasks.template.service import differing_keys

_MOST_KEYS = 20


def of_all(errand: Errand, renderer: Renderer, lives: Iterable[Live], wishes: Sequence[Wish]) -> Iterator[Note]:
    """Yield the notes on all targets, the same of several targets once; templates that fail are told elsewhere."""
    by_service = {wish.service: wish for wish in wishes}
    said: dict[str, list[str]] = {}
    for live in lives:
        try:
            create = rolling.render(errand, renderer, live.target, by_service[live.target.service])[1]
        except Invalid:
            continue
        for text in notes(create, live):
            said.setdefault(text, []).append(str(live.target))
    return (Note(f"{listed(targets)}: {text}") for text, targets in said.items())


def notes(create: Definition | None, live: Live) -> Iterator[str]:
    """Yield what the CreateService request says otherwise than the live service, if both are there."""
    if create is None or not live.service:
        return
    keys = differing_keys(create, live.service)
    if others := [key for key in keys if key != "desiredCount"]:
        what = "the service template differs; it is read only where the service does not exist yet"
        yield f"{what}: {listed(others, _MOST_KEYS)}"
    if "desiredCount" in keys:
        what = f"desiredCount is {shown(create['desiredCount'])} in the service template and {live.desired} live"
        yield f"{what}: the template's counts only at creation, and autoscaling may set another"
