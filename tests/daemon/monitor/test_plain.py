from __future__ import annotations

from daemon.monitor.plain import lines
from tests.daemon.overview.making import OVERVIEW


def test_an_overview_is_a_line_for_each_thing() -> None:
    assert list(lines(OVERVIEW)) == [
        "daemon 2025-11-26T08:00:02Z 1.2.3 pid 4711 up 3 min 12 s",
        "creates 1,234/s p50 1.50 ms p99 6.00 ms longest 7.50 ms: 12,345 created, 1 failed, 4 of 256 under way, "
        "7 turned away, 3 refused (2 conflict, 1 not found)",
        "actor storage/database up mailbox 0/8192 waited 12.0 us handled 1,234/s restarts 0",
        "actor services/events up mailbox 0/8192 waited - handled 0/s restarts 0",
        "actor services/allocator restarting mailbox 5000/8192 waited - handled 0/s restarts 3 "
        "last crash ValueError: <b>\\x1b[31mred\\x07\\u202eevil</b>[bold]",
        f"event 2025-11-26T08:00:00Z container create <b>\\x1b[31mred\\x07\\u202eevil</b>[bold] {'f' * 12}",
        "event 2025-11-26T08:00:01Z actor crashed allocator ValueError: no",
    ]
