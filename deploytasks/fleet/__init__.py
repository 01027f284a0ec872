"""Carries rollouts out over many tenants at once: one loop decides and tells, a pool of threads speaks to AWS."""

from deploytasks.fleet.carry_out import carry_out
from deploytasks.fleet.parallel import each, together
from deploytasks.fleet.work import Means, outcome_of

__all__ = ["Means", "carry_out", "each", "outcome_of", "together"]
