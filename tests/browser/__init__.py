"""What a person sees in a real browser. `EXECUTABLE` is this machine's Chromium, None where there is none."""

import shutil

_NAMES = ("chromium", "chromium-browser", "google-chrome")
EXECUTABLE = next(filter(None, map(shutil.which, _NAMES)), None)
HOW_TO_INSTALL = "apt-get install chromium"
