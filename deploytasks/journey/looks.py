"""Look at everything that a command needs to know, and complain of all that is wrong in one round.

Where one look fails, what the others found is checked all the same; what can't be checked then is named.
"""

from collections.abc import Callable, Iterable
from typing import Any

from deploytasks import fleet
from deploytasks.errors import AwsError, Complaint, DeployError, NotBuilt, once
from deploytasks.journey import named, ownership, preflight, rolling, sources
from deploytasks.journey.errand import Errand
from deploytasks.model import Live
from deploytasks.template.render import Renderer, placeholder


def look_at_all(errand: Errand, *looks: Callable[[], Any]) -> list[Any]:
    """Return the answers of all looks, in their order, got in parallel.

    Raises:
        DeployError: of the first look that failed, with all complaints, and those about what the others found.

    """
    answers = fleet.attempts(*looks)
    errors = [answer for answer in answers if isinstance(answer, DeployError)]
    if not errors:
        return answers
    lives = [one for answer in answers if isinstance(answer, tuple) for one in answer if isinstance(one, Live)]
    complaints = [complaint for error in errors for complaint in error.complaints]
    complaints += [one for answer in answers if isinstance(answer, ownership.Ownership) for one in answer.complaints]
    complaints += _about_targets(errand, lives)
    complaints += preflight.complaints_in(preflight.gathered(lambda: sources.complaints(errand, ())))
    if any(isinstance(error, AwsError) for error in errors):
        complaints = ownership.with_former(errand, complaints)
    if not all(isinstance(error, NotBuilt) for error in errors):  # whose advice is to run this again
        complaints.append(_unseen(errand))
    raise type(errors[0])(*once(complaints)) from errors[0]


def _unseen(errand: Errand) -> Complaint:
    if errand.command == "build":
        return Complaint("build", "not checked until then: the contexts of the images that ECR may lack")
    unseen = "not checked until then: what needs the images that could not be looked at, the gate above all"
    return Complaint(errand.tier.name, unseen)


def _about_targets(errand: Errand, lives: list[Live]) -> Iterable[Complaint]:
    """Complain of the targets as they were seen, and of their templates, tried with an image that nobody built."""
    if not lives:
        return []
    tried = {target.service: placeholder(errand.project, target) for target in errand.targets}
    renderer = Renderer(errand.project)
    templates = preflight.gathered(lambda: rolling.renders(errand, renderer, list(tried.values())))
    names = preflight.gathered(lambda: named.missing(errand, renderer, lives, tried.values()))
    found = [*preflight.ready(errand, lives), *templates, *preflight.wave_rules(errand), *names]
    return preflight.complaints_in(found)
