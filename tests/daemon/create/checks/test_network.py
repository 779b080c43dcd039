from __future__ import annotations

from daemon.container import EndpointSettings
from daemon.create.checks.network import endpoints_fit_the_version
from tests.daemon.create.asking import HOST, asking


def test_what_a_version_does_not_know_is_a_text_and_else_there_is_none() -> None:
    endpoints: dict[str, EndpointSettings | None] = {"net1": EndpointSettings(), "net2": None}
    assert endpoints_fit_the_version(asking(), HOST) is None
    assert endpoints_fit_the_version(asking(endpoints=endpoints), HOST) is None
    assert endpoints_fit_the_version(asking(endpoints=endpoints, api_version=(1, 43)), HOST) == (
        "Container cannot be created with multiple network endpoints: net1, net2"
    )
