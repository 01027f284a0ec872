"""What the URL of a git remote tells: its host and path, and never a password."""

import pytest

from deploytasks.git_url import host_and_path, without_credentials


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://github.com/acme/shop.git", "github.com", "acme/shop"),
        ("https://ann:secret@gitlab.example.com:8443/acme/shops/shop/", "gitlab.example.com", "acme/shops/shop"),
        ("ssh://git@github.com:22/acme/shop.git", "github.com", "acme/shop"),
        ("git@github.com:acme/shop.git", "github.com", "acme/shop"),
        ("/srv/git/shop.git", "", "srv/git/shop"),
        ("http://[", "", ""),
    ],
)
def test_host_and_path_are_found_in_every_form_of_a_url(url: str, host: str, path: str):
    assert host_and_path(url) == (host, path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:secret@github.com/acme/shop.git", "https://github.com/acme/shop.git"),
        ("https://token@github.com/acme/shop?token=secret#secret", "https://github.com/acme/shop"),
        ("ssh://git:secret@github.com/acme/shop.git", "ssh://git@github.com/acme/shop.git"),
        ("git@github.com:acme/shop.git", "git@github.com:acme/shop.git"),
        ("https://[bad/x", ""),
    ],
)
def test_what_may_be_a_secret_is_never_shown(url: str, shown: str):
    assert without_credentials(url) == shown
