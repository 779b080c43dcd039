"""A user's ids are those of the container's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import InvalidParameter
from daemon.storage.container_view import ContainerView
from daemon.storage.users import owner_of
from tests.daemon.storage.making import write

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n# no user\nbroken:x:one:1::\nweb:x:33:34:web:/var/www:/bin/false\n12:x:7:7::/:/x\n"
)
GROUP = "root:x:0:\nstaff:x:50:web\n"


@pytest.fixture
def view(tmp_path: Path) -> ContainerView:
    write(tmp_path, "etc/passwd", PASSWD)
    write(tmp_path, "etc/group", GROUP)
    return ContainerView((tmp_path,))


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("web", (33, 34)),
        ("33", (33, 34)),
        ("web:staff", (33, 50)),
        ("web:51", (33, 51)),
        ("1000", (1000, 0)),
        ("1000:staff", (1000, 50)),
        (":staff", (0, 50)),
        ("web:", (33, 34)),
        ("2147483647", (2147483647, 0)),
    ],
)
def test_a_user_is_a_name_or_a_number_with_or_without_a_group(
    view: ContainerView, user: str, owner: tuple[int, int]
) -> None:
    assert owner_of(view, user) == owner


@pytest.mark.parametrize("user", ["nobody", "broken", "2147483648", "-1", "\u0661"])
def test_an_unknown_user_is_refused_in_mobys_words(view: ContainerView, user: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        owner_of(view, user)
    assert str(caught.value) == f'failed to look up user "{user}" in container: no matching entries in passwd file'


def test_an_unknown_group_is_refused_in_mobys_words(view: ContainerView) -> None:
    with pytest.raises(
        InvalidParameter, match=r'^failed to look up group "g" in container: no matching entries in group'
    ):
        owner_of(view, "web:g")


def test_files_that_lead_out_of_the_container_or_are_none_are_empty(tmp_path: Path) -> None:
    write(tmp_path, "group", "web:x:50:\n")
    (tmp_path / "root/etc/passwd").mkdir(parents=True)
    (tmp_path / "root/etc/group").symlink_to(tmp_path / "group")
    view = ContainerView((tmp_path / "root",))
    for user in ("root", "0:web"):
        with pytest.raises(InvalidParameter):
            owner_of(view, user)
