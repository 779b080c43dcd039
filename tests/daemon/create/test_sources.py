from __future__ import annotations

from pathlib import Path

import pytest

from daemon.container import BindOptions, HostConfig, MountRequest
from daemon.create.sources import bad_sources, source_complaint


def test_a_source_that_is_there_is_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert [source_complaint(str(tmp_path / name)) for name in ("", "file", "link")] == [None, None, None]


def test_what_is_wrong_with_a_source_is_told_as_go_would(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    table = {
        f"{tmp_path}/no": "bind source path does not exist: {}",
        f"{tmp_path}/broken": "bind source path does not exist: {}",
        f"{tmp_path}/file/x": "stat {}: not a directory",
        f"{tmp_path}/loop": "stat {}: too many levels of symbolic links",
        f"{tmp_path}/{'x' * 300}": "stat {}: file name too long",
        f"{tmp_path}/\0": "stat {}: invalid argument",
        f"{tmp_path}/\ud800": "stat {}: invalid argument",
    }
    for path, complaint in table.items():
        assert source_complaint(path) == complaint.format(path)


@pytest.mark.anyio
async def test_only_the_sources_of_bind_mounts_are_looked_up(tmp_path: Path) -> None:
    missing = str(tmp_path / "no")
    host_config = HostConfig(
        binds=(f"{missing}/bind:/a",),
        mounts=(
            MountRequest(type="volume", source=f"{missing}/volume"),
            MountRequest(type="bind", source=""),
            MountRequest(type="bind", source=str(tmp_path)),
            MountRequest(type="bind", source=missing, bind_options=BindOptions(create_mountpoint=True)),
        ),
    )
    assert await bad_sources(host_config) == {missing: f"bind source path does not exist: {missing}"}
    assert await bad_sources(HostConfig()) == {}
