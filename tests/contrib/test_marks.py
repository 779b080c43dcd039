from __future__ import annotations

import pytest

from contrib.marks import between_marks

PAGE = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"


def test_a_table_takes_the_place_of_the_last_one_and_nothing_else_changes() -> None:
    assert between_marks(PAGE, "x", "new\n") == PAGE.replace("old", "new")
    assert between_marks(between_marks(PAGE, "x", "new"), "x", "newer") == PAGE.replace("old", "newer")


@pytest.mark.parametrize("page", ["no marks", PAGE.replace("end", "other"), PAGE.replace("x:", "y:")])
def test_a_page_without_both_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"^the page has no <!-- x: begin --> and <!-- x: end -->$"):
        between_marks(page, "x", "new")
