"""What `init` must be told, one row a question: by a flag, by envs/project.toml, at the terminal, or by default."""

import os
import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from deploytasks.adoption.repository import Found
from deploytasks.config import names
from deploytasks.config.check import fits
from deploytasks.config.files import PROJECT_FILE
from deploytasks.config.policy import MOST_TIERS
from deploytasks.config.schema import Account, Below, Name, Region
from deploytasks.errors import Complaint, Invalid, Refusal, raise_all
from deploytasks.git_url import host_and_path
from deploytasks.regions import nearest_region, partition_of

UNKNOWN_ACCOUNT = "999999999999"
"""What stands for an account that was not given: files say beside it that it is to be filled in."""
_NAMES = "lower-case letters, digits and dashes, a letter first"
Ask = Callable[[str], str | None]
"""Asks at the terminal: the answer, None if there is no terminal."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the files are made of: tenants have their accounts, images their Dockerfiles, services their images."""

    project: str
    account: str
    region: str
    tiers: tuple[str, ...]
    tenants: Mapping[str, str]
    images: Mapping[str, str]
    services: Mapping[str, str]
    ci: str


@dataclass(frozen=True, slots=True)
class Known:
    """What was found, and answered so far."""

    found: Found
    answers: dict[str, str] = field(default_factory=dict)

    def answer(self, flag: str) -> str:
        """Return the answer of a question, its default as long as it has none."""
        return self.answers.get(flag) or QUESTIONS[flag].default(self)


@dataclass(frozen=True, slots=True)
class Question:
    """A question: what it asks, its default, and what an answer should have been, "" if it is right."""

    asks: str
    default: Callable[[Known], str]
    wanted: Callable[[str, Known], str]
    is_asked: Callable[[Found], bool] = lambda _: True


def pairs(text: str) -> dict[str, str]:
    """Return `a=1,b` as a mapping; a name without a value has "" for one."""
    parts = (each.partition("=") for each in text.split(","))
    return {name.strip(): value.strip() for name, _, value in parts}


def _distinct(text: str, legal: Callable[[str], bool], wanted: str = _NAMES) -> str:
    given = pairs(text)
    if len(given) < text.count(",") + 1:
        return "names that differ"
    return "" if all(map(legal, given)) else wanted


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")[:63].rstrip("-")


def _project(known: Known) -> str:
    _, path = host_and_path(known.found.url)
    return _slug(PurePosixPath(path).name) or _slug(known.found.root.name) or "app"


def _region(_: Known) -> str:
    told = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    return told if fits(told, Region) else "us-east-1"


def _tiers_wanted(text: str, _: Known) -> str:
    if len(pairs(text)) > MOST_TIERS:
        return f"at most {MOST_TIERS} tiers, since an ECR repository has so many filters for their tags"
    return _distinct(text, names.may_be_tier, f"{_NAMES}, and no other task's name, such as list or history")


def _tenants_wanted(text: str, _: Known) -> str:
    if wanted := _distinct(text, lambda name: names.is_name(name) and name != "project"):
        return wanted
    right = all(not account or fits(account, Account) for account in pairs(text).values())
    return "" if right else "the 12 digits of an AWS account after each ="


def _images(known: Known) -> str:
    """Return an image for each Dockerfile, named by what tells it from others: `app`, `nginx`, `deploy-nginx`."""
    named: dict[str, str] = {}
    for path in known.found.dockerfiles:
        short, long = _name_of(path), _slug(path.removesuffix("Dockerfile"))
        free = (
            each
            for each in (short, long, *(f"{short}-{n}" for n in range(2, len(named) + 3)))
            if each and each not in named
        )
        named[next(free)] = path
    return ",".join(f"{name}={path}" for name, path in named.items()) or "app=Dockerfile"


def _name_of(path: str) -> str:
    file = PurePosixPath(path)
    name = _slug(re.sub(r"^Dockerfile\.?|\.Dockerfile$", "", file.name)) or _slug(file.parent.name) or "app"
    return name if names.may_be_image(name) else f"{name}-image"


def _images_wanted(text: str, known: Known) -> str:
    if wanted := _distinct(text, names.may_be_image):
        return wanted
    there = {each for each in pairs(text).values() if each == "Dockerfile" or (known.found.root / each).is_file()}
    if all(fits(each, Below) and each in there for each in pairs(text).values()):
        return ""
    return "after each = the path of a Dockerfile that is there, such as nginx=deploy/nginx/Dockerfile"


def _services(known: Known) -> str:
    return ",".join(f"{image}={image}" for image in pairs(known.answer("images")))


def _services_wanted(text: str, known: Known) -> str:
    if wanted := _distinct(text, lambda name: fits(name, Name)):
        return wanted
    images = pairs(known.answer("images"))
    run = {_image_of(name, image, images) for name, image in pairs(text).items()}
    if not run <= images.keys():
        return f"after each = one of the images: {', '.join(images)}"
    idle = [image for image in images if image not in run]
    return f"a service for each image: none runs {', '.join(idle)}" if idle else ""


def _image_of(service: str, image: str, images: Iterable[str]) -> str:
    return image or (service if service in images else next(iter(images)))


def _ci_wanted(text: str, known: Known) -> str:
    if text not in CI:
        return "github, gitlab or none"
    if text == "none" or known.found.top == known.found.root:
        return ""
    return f"none here: CI reads its files from {known.found.top} alone, so write them there"


def _region_wanted(text: str, _: Known) -> str:
    if fits(text, Region) and partition_of(text):
        return ""
    return f"one that AWS has, such as {nearest_region(text) or 'us-east-1'}"


def _account_wanted(text: str, _: Known) -> str:
    return "" if fits(text, Account) else "the 12 digits of an AWS account"


CI = ("github", "gitlab", "none")
QUESTIONS: Mapping[str, Question] = {
    "project": Question("the project's name", _project, lambda text, _: "" if names.is_name(text) else _NAMES),
    "registry-account": Question("the AWS account of the ECR registry", lambda _: UNKNOWN_ACCOUNT, _account_wanted),
    "region": Question("the AWS region", _region, _region_wanted),
    "tiers": Question("the tiers, in the order of promotion", lambda _: "dev,staging,prod", _tiers_wanted),
    "tenants": Question(
        "the tenants and their AWS accounts, such as main=111111111111,mb=222222222222",
        lambda known: ",".join(known.found.tenants) or "main",
        _tenants_wanted,
    ),
    "images": Question(
        "the images and their Dockerfiles, such as app=Dockerfile,nginx=deploy/nginx/Dockerfile",
        _images,
        _images_wanted,
        lambda found: len(found.dockerfiles) > 1,
    ),
    "services": Question("the services and their images, such as web=app,worker=app", _services, _services_wanted),
    "ci": Question(f"the CI system: {', '.join(CI)}", lambda known: known.found.ci, _ci_wanted),
}
"""By the name of the flag."""


def answered(found: Found, given: Namespace, ask: Ask) -> Answers:
    """Return all answers.

    Raises:
        Invalid: with every complaint about the flags.
        Refusal: something must be asked, and there is no terminal.

    """
    known = Known(found, dict(found.settled))
    flags = {flag: text for flag in QUESTIONS if (text := getattr(given, flag.replace("-", "_"))) is not None}
    given_first = Known(found, {**flags, **found.settled})
    raise_all(Invalid, [each for flag, text in flags.items() for each in _wrong(flag, text, given_first)])
    known.answers.update(flags)
    if not given.yes:
        _ask_the_rest(known, ask)
    return _answers({flag: known.answer(flag) for flag in QUESTIONS})


def _wrong(flag: str, text: str, known: Known) -> list[Complaint]:
    settled = known.found.settled.get(flag, text)
    if _meant(flag, settled, known) != _meant(flag, text, known):
        what = f"'{text[:80]}' is not what {PROJECT_FILE} says: {settled}"
        return [Complaint(f"--{flag}", what, "leave the flag out, or edit that file")]
    wanted = QUESTIONS[flag].wanted(text, known)
    return [Complaint(f"--{flag}", f"'{text[:80]}' is not valid", f"wanted: {wanted}")] if wanted else []


def _meant(flag: str, text: str, known: Known) -> object:
    """Return what an answer says, however it is written: a second run may be given the flags of the first."""
    named = pairs(text)
    match flag:
        case "tiers":
            return [*named]
        case "images":
            return {name: PurePosixPath(path) for name, path in named.items()}
        case "services":
            images = pairs(known.answer("images"))
            return {name: _image_of(name, image, images) for name, image in named.items()}
    return text


def _ask_the_rest(known: Known, ask: Ask) -> None:
    rest = [flag for flag in QUESTIONS if flag not in known.answers and QUESTIONS[flag].is_asked(known.found)]
    for flag in rest:
        answer = _asked(flag, known, ask)
        if answer is None:
            defaults = " ".join(f"--{each} {known.answer(each)}" for each in rest)
            to_do = f"give these flags, or take the defaults by --yes: {defaults}"
            raise Refusal.of("init", "there is no terminal to ask on, or its input has ended", to_do)
        known.answers[flag] = answer


def _asked(flag: str, known: Known, ask: Ask) -> str | None:
    """Return the answer, asked for until it is right; None if there is no terminal."""
    question, default, wanted = QUESTIONS[flag], known.answer(flag), ""
    while True:
        answer = ask(f"{f'wanted: {wanted}; ' if wanted else ''}{question.asks} [{default}]: ")
        if not answer:
            return None if answer is None else default
        wanted = question.wanted(answer, known)
        if not wanted:
            return answer


def _answers(texts: Mapping[str, str]) -> Answers:
    images = pairs(texts["images"])
    services = {name: _image_of(name, image, images) for name, image in pairs(texts["services"]).items()}
    tenants = {name: account or UNKNOWN_ACCOUNT for name, account in pairs(texts["tenants"]).items()}
    account, region, tiers = texts["registry-account"], texts["region"], tuple(pairs(texts["tiers"]))
    return Answers(texts["project"], account, region, tiers, tenants, images, services, texts["ci"])
