"""The words of the trade as values: what is wanted, what was observed, what was planned, what came of it.

Everything here is frozen, knows no AWS and does no I/O; every other room speaks in these values. They stand in the
order in which a command meets them: `project`, `asked`, `images`, `live`, `plans`, `events`, `views`.
"""

from deploytasks.model.asked import Author, LockState, Options, Scope
from deploytasks.model.events import Ended, Event, Logged, OnEvent, Planned, Progress, Told
from deploytasks.model.images import Build, Image, TagStep, Wish
from deploytasks.model.live import Definition, Deployment, Evidence, Live, Reading, Revision, primary_of
from deploytasks.model.plans import (
    GOOD_OUTCOMES,
    Action,
    DeadTask,
    Fallback,
    Outcome,
    Plan,
    Report,
    Result,
    Rollout,
    Steps,
)
from deploytasks.model.project import (
    Access,
    Environment,
    OnFailure,
    Origin,
    Pin,
    Project,
    Registry,
    Service,
    TagKind,
    Target,
    Tier,
)
from deploytasks.model.views import Board, Cell, Difference, Exited, History, Mark, Release, Shelf, Standing, Steered

__all__ = [
    "GOOD_OUTCOMES",
    "Access",
    "Action",
    "Author",
    "Board",
    "Build",
    "Cell",
    "DeadTask",
    "Definition",
    "Deployment",
    "Difference",
    "Ended",
    "Environment",
    "Event",
    "Evidence",
    "Exited",
    "Fallback",
    "History",
    "Image",
    "Live",
    "LockState",
    "Logged",
    "Mark",
    "OnEvent",
    "OnFailure",
    "Options",
    "Origin",
    "Outcome",
    "Pin",
    "Plan",
    "Planned",
    "Progress",
    "Project",
    "Reading",
    "Registry",
    "Release",
    "Report",
    "Result",
    "Revision",
    "Rollout",
    "Scope",
    "Service",
    "Shelf",
    "Standing",
    "Steered",
    "Steps",
    "TagKind",
    "TagStep",
    "Target",
    "Tier",
    "Told",
    "Wish",
    "primary_of",
]
