"""`attrs.evolve` for wide records: what they have in their `__dict__` is copied in one step, not field by field.

A create changes its HostConfig of 71 fields and its ContainerConfig a dozen times. With attrs.evolve, which calls `__init__`,
that was a seventh of all it did; like this it is a fiftieth. Such a record is declared with `slots=False`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from attrs import evolve as evolve
else:
    R = TypeVar("R")

    def evolve(record: R, /, **changes: Any) -> R:
        """A copy with other values in some of its fields; neither converters nor validators are called.

        Raises TypeError: there is no such field.
        """
        copy = object.__new__(record.__class__)
        fields = copy.__dict__
        fields.update(record.__dict__)
        width = len(fields)
        fields.update(changes)
        if len(fields) != width:
            raise TypeError(
                f"{record.__class__.__name__} has no {' or '.join(changes.keys() - record.__dict__.keys())}"
            )
        return copy
