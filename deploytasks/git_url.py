"""Read the URL of a git remote: `https://github.com/acme/shop.git`, `git@github.com:acme/shop.git`, a folder. Pure."""

import re
from urllib.parse import urlsplit

_SCP_LIKE = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.*)")
"""Source: git-clone's manual, "GIT URLS"."""


def host_and_path(url: str) -> tuple[str, str]:
    """Return `github.com` and `acme/shop`; the host is "" if the URL is a folder, or no URL."""
    if found := _SCP_LIKE.fullmatch(url):
        host, path = found[1].lower(), found[2]
    else:
        try:
            parts = urlsplit(url)
        except ValueError:
            return "", ""
        host, path = parts.hostname or "", parts.path
    return host, path.strip("/").removesuffix(".git")


def without_credentials(url: str) -> str:
    """Return the URL without a password, or a user that may be a token; "" if it is no URL."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    user, _, host = parts.netloc.rpartition("@")
    keeps_user = parts.scheme in ("ssh", "git+ssh") and user
    netloc = f"{user.partition(':')[0]}@{host}" if keeps_user else host
    return parts._replace(netloc=netloc, query="", fragment="").geturl()
