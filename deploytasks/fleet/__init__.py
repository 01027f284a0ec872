"""Carries rollouts out over many tenants at once: one loop decides and tells, a pool of threads speaks to AWS."""

from deploytasks.fleet.carry_out import carry_out
from deploytasks.fleet.finish import outcome_of
from deploytasks.fleet.means import Leave, Means
from deploytasks.fleet.parallel import attempts, each, together

__all__ = ["Leave", "Means", "attempts", "carry_out", "each", "outcome_of", "together"]
