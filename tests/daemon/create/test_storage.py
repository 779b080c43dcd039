from __future__ import annotations

import pytest

from daemon.create.storage import refuse_storage_options
from daemon.errors import InvalidParameter

NO_QUOTA = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"


def test_no_storage_options_are_as_good_as_none() -> None:
    refuse_storage_options({})


@pytest.mark.parametrize(
    ("options", "text"),
    [({"size": "1g"}, NO_QUOTA), ({"x": "", "size": "1g"}, NO_QUOTA), ({"Size": "1g"}, "Unknown option size")],
)
def test_what_this_daemon_cannot_limit_is_the_clients_mistake(options: dict[str, str], text: str) -> None:
    # Unlike Moby, where it is a 500.
    with pytest.raises(InvalidParameter) as caught:
        refuse_storage_options(options)
    assert str(caught.value) == text
