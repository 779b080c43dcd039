"""`boatyardd fsck` on the data root of a real engine that was stopped, or was not."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from daemon.__main__ import main
from daemon.container import ContainerConfig
from daemon.create.request import CreateRequest
from daemon.storage import failpoints
from daemon.storage.failpoints import Plan
from daemon.storage.recovery import locked
from tests.daemon.harness import engine_at


@pytest.fixture
def root(tmp_path: Path) -> Path:
    async def live() -> None:
        async with engine_at(tmp_path) as engine:
            await engine.create(CreateRequest(config=ContainerConfig(image="busybox", cmd=("x",)), name="web"))

    anyio.run(live)
    return tmp_path / "data"


def fsck(root: Path, *options: str) -> int:
    return main(["fsck", "--data-root", str(root), *options])


def test_a_data_root_that_was_left_in_order_is_in_order(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(root.rglob("*"))
    assert fsck(root, "--verify") == 0
    assert fsck(root, "--json") == 0
    assert capsys.readouterr().out == '{"findings": []}\n'
    assert fsck(root, "--repair") == 0
    assert {*before} <= {*root.rglob("*")}


def test_what_is_wrong_is_said_and_repaired_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (container,) = (root / "containers").iterdir()
    container.rename(root / "staging" / "half")
    (root / "content" / "index.json").write_text("{}")
    expected = [
        "staging/half belongs to no record",
        f"containers/{container.name} is missing",
        "content/index.json is damaged",
    ]
    assert fsck(root) == 3
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(expected)
    assert fsck(root, "--repair") == 0
    remedies = ("removed", "made again", "written anew")
    assert capsys.readouterr().out.splitlines() == [f"{a}: {b}" for a, b in zip(expected, remedies, strict=True)]
    assert fsck(root) == 0
    assert container.is_dir()


def test_content_that_is_not_what_it_is_called_is_found_by_reading_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blob = min((root / "content/blobs/sha256").iterdir())
    blob.write_bytes(b"another")
    assert fsck(root) == 0
    assert fsck(root, "--verify", "--repair", "--json") == 3
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found == {"path": f"content/blobs/sha256/{blob.name}", "problem": "damaged", "remedy": ""}
    blob.unlink()
    assert fsck(root, "--repair") == 3
    assert capsys.readouterr().out == f"content/blobs/sha256/{blob.name} is missing\n"


def test_what_the_disk_refuses_is_no_reason_to_stop(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (root / "staging" / name).touch()
    monkeypatch.setattr(failpoints, "_plan", Plan("recovery.before_sweep=1*error(EIO)"))
    assert fsck(root, "--repair") == 3
    assert capsys.readouterr().out == "staging/a belongs to no record\nstaging/b belongs to no record: removed\n"


def test_it_is_not_for_a_data_root_in_use_or_none(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(root):
        assert fsck(root) == 1
    assert fsck(root / "containers") == 1
    assert capsys.readouterr().err.splitlines() == [
        "boatyardd: another daemon is using this data root",
        "boatyardd: there is no data root of Boatyard",
    ]
    assert not (root / "containers" / "lock").exists()


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fsck"])
    assert ended.value.code == 2
