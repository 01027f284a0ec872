"""Roll a plan out over many tenants at once: one loop decides and reports, thread pools call AWS.

A `Rollout` of the plan is started (`start`), which gives an `UnderWay`, or a `Result` if there is nothing to follow.
Each poll (`follow`) gives the `UnderWay` anew, until it has an outcome. Then it is concluded (`restore`): that gives
its `Result` (`finish`), or the restore under way, which is followed in turn. The soak turns results into results.
"""

from deploytasks.rollout.finish import outcome_of
from deploytasks.rollout.resources import Resources
from deploytasks.rollout.waves import Leave, carry_out

__all__ = ["Leave", "Resources", "carry_out", "outcome_of"]
