"""What several tests begin with: made once by commands, and copied for whoever comes later."""

import copy
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.accounts import Cloud
from tests.commands import Shop


@dataclass(frozen=True, slots=True)
class Saved:
    """A shop as it was left: its cloud, who had called it, a copy of its repository, and what making it returned."""

    cloud: Cloud
    calls: Counter[tuple[str, str]]
    repository: Path
    told: Any


@dataclass
class Scenes:
    """Shops as they were left, by name; all of them have two tenants."""

    folder: Path
    saved: dict[str, Saved] = field(default_factory=dict)

    def play(self, shop: Shop, name: str, make: Callable[[], Any]) -> Any:
        """Bring a fresh shop to where `make` brings it, and return what that returned."""
        if name in self.saved:
            _restore(self.saved[name], shop)
        else:
            told = make()
            cloud, calls, kept = copy.deepcopy(shop.endpoint.cloud), shop.endpoint.calls.copy(), self._repository(shop)
            self.saved[name] = Saved(cloud, calls, kept, told)
        return self.saved[name].told

    def _repository(self, shop: Shop) -> Path:
        kept = self.folder / str(len(self.saved))
        shutil.copytree(shop.root, kept, symlinks=True)
        return kept


def _restore(saved: Saved, shop: Shop) -> None:
    shop.endpoint.cloud, shop.endpoint.calls = copy.deepcopy(saved.cloud), saved.calls.copy()
    shutil.rmtree(shop.root)
    shutil.copytree(saved.repository, shop.root, symlinks=True)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """The scenes of this process."""
    return Scenes(tmp_path_factory.mktemp("scenes"))
