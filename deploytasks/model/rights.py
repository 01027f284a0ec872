"""What IAM must allow: roles with their trust and their policies."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from msgspec import Struct

Holder = Literal["registry", "tenant", "ci", "bootstrap"]
"""Whose rights they are: the registry's role, a tenant's role, CI's role, or whoever runs `inv envs.bootstrap`."""
HOLDERS: tuple[Holder, ...] = get_args(Holder)


class Grant(Struct, frozen=True):
    """One role of one account with its trust policy and its permission policies.

    `role` is its ARN, and `trust` None, if envs/ names none: the policies are then for whoever signs in as `who` says.
    """

    holder: Holder
    account: str
    region: str
    name: str
    who: str
    policies: tuple[Mapping[str, Any], ...]
    role: str = ""
    trust: Mapping[str, Any] | None = None
    tenants: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Return the role's path in IAM: `/`, or `/ci/`."""
        return "/" + "".join(f"{each}/" for each in self.role.partition(":role/")[2].split("/")[:-1])

    def named_policies(self, project: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Return its policies, each with a name."""
        return [(f"deploytasks-{project}-{self.name}-{number}", each) for number, each in enumerate(self.policies, 1)]
