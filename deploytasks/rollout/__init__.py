"""Roll a plan out over many tenants at once: one loop decides and reports, thread pools call AWS."""

from deploytasks.rollout.finish import outcome_of
from deploytasks.rollout.resources import Resources
from deploytasks.rollout.waves import Leave, carry_out

__all__ = ["Leave", "Resources", "carry_out", "outcome_of"]
