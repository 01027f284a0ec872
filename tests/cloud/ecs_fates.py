"""What becomes of deployments: most complete, some die, some fall ill later. `Cloud.fates` decides which."""

from collections.abc import Sequence

from msgspec import Struct


class Death(Struct, frozen=True):
    """How tasks die, and the `lines` that each leaves in the log of its definition.

    `code` is ECS's stopCode, `why` the container's own reason. Exit None: no container ever ran, so nothing is logged.
    """

    code: str = "EssentialContainerExited"
    reason: str = "Essential container in task exited"
    exit: int | None = 1
    lines: Sequence[str] = ()
    why: str = ""


NEVER_STARTED = Death(
    "TaskFailedToStart", "CannotPullContainerError: pull image manifest has been retried 1 time(s)", exit=None
)


class Fate(Struct, frozen=True):
    """What becomes of one deployment: by default it completes after the cloud's `rollout_s`, or its own `lasts_s`.

    With `death` its tasks die, one every `every_s`, and it never completes: the service's circuit breaker trips after
    `trips_s`, and where it has none this goes on for ever. With `sick_s` it completes all the same, and its tasks
    begin to die that long afterwards; with `restarts` ECS has another one running at once for each, so that none seems
    to be missing. With `stays_at` no more tasks than that ever run. It is PENDING for `pending_s`, does what
    StopServiceDeployment asks after `obeys_s`, and `back` is the fate of going back from it: of real ones it is told
    that, for a minute or two (`lags_s`), the one that failed still says IN_PROGRESS beside the new PRIMARY.
    """

    lasts_s: float | None = None
    death: Death | None = None
    every_s: float = 5.0
    trips_s: float = 30.0
    sick_s: float | None = None
    restarts: bool = False
    stays_at: int | None = None
    pending_s: float = 0.0
    obeys_s: float = 0.0
    lags_s: float = 0.0
    back: "Fate | None" = None

    @property
    def doomed(self) -> bool:
        """Whether it never completes by itself."""
        return self.death is not None and self.sick_s is None
