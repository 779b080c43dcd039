from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from daemon.api.listed import SPARE_MAX, ListedViews
from daemon.api.views import summary_view
from daemon.summary import ContainerSummary, summary_of
from tests.daemon.storage.records import container

ROOT = Path("/data")
NEW, OLD = (1, 50), (1, 45)


def summary(number: int = 1) -> ContainerSummary:
    return msgspec.structs.replace(summary_of(container(number)), annotations={"a": "b"})


def shown(view: msgspec.Raw) -> object:
    return msgspec.json.decode(view)


def test_a_view_is_that_of_its_summary_and_is_encoded_once() -> None:
    listed, one = ListedViews(ROOT), summary()
    view = listed.view(one, "busybox", NEW)
    assert shown(view) == summary_view(one, "busybox", ROOT)
    assert listed.view(one, "busybox", NEW) is view


@pytest.mark.parametrize(
    ("changed", "image", "version"),
    [
        (summary().renamed("other"), "busybox", NEW),
        (summary(), "sha256:0", NEW),
        (summary(), "busybox", OLD),
    ],
    ids=["its container", "what its image is called", "the version"],
)
def test_a_view_is_made_anew_when_something_has_changed(
    changed: ContainerSummary, image: str, version: tuple[int, int]
) -> None:
    listed = ListedViews(ROOT)
    listed.view(summary(), "busybox", NEW)
    assert shown(listed.view(changed, image, version)) == summary_view(changed, image, ROOT, api_version=version)


def test_views_of_containers_that_are_gone_are_dropped_when_they_are_many() -> None:
    listed, summaries = ListedViews(ROOT), [summary(number) for number in range(SPARE_MAX + 2)]
    views = [listed.view(each, "busybox", NEW) for each in summaries]
    listed.forget_others(summaries[:2])
    assert listed.view(summaries[-1], "busybox", NEW) is views[-1]
    listed.forget_others(summaries[:1])
    assert listed.view(summaries[0], "busybox", NEW) is views[0]
    assert listed.view(summaries[-1], "busybox", NEW) is not views[-1]
