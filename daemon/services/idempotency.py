"""Which create a key stands for: so that a client that got no answer may ask again and gets one container, not two.

`KeyIndex` is the synchronous core, `Idempotency` the actor around it. A key is *claimed* from the start of a create and *kept*
once its container is durable, in the same commit (`storage/database`, whose PRIMARY KEY is the fence for the moment after a
crash, when claims are forgotten). Whoever asks with a claimed key waits for that create: if it succeeds they get its answer,
if it fails the first of them takes its place. A key is forgotten when its container is removed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Self

import attrs

from actors import Deferred, Ref
from daemon.errors import Cancelled, Conflict, key_in_use
from daemon.storage.database import Database, KeptKey


@attrs.define
class _Claim:
    fingerprint: str
    claimant: str
    waiting: deque[str] = attrs.field(factory=deque)


class KeyIndex:
    """Claimed and kept keys. A create that claims one is known by what it calls itself, which no other does."""

    def __init__(self, kept: Iterable[KeptKey] = ()) -> None:
        self._kept = {key.key: key for key in kept}
        self._keys = {key.container_id: key.key for key in self._kept.values()}
        self._claims: dict[str, _Claim] = {}

    def claim(self, key: str, fingerprint: str, claimant: str) -> KeptKey | bool:
        """True if the key is `claimant`'s now, False if it must wait for another; or the container that has it.

        Raises:
            Conflict: the key stands for another request.
        """
        if (kept := self._kept.get(key)) is not None:
            if kept.fingerprint != fingerprint:
                raise key_in_use(key, kept.container_id)
            return kept
        claim = self._claims.setdefault(key, _Claim(fingerprint, claimant))
        if claim.fingerprint != fingerprint:
            raise Conflict(f"idempotency key {key!r} is in use by a create with another request that is under way")
        if claim.claimant == claimant:
            return True
        claim.waiting.append(claimant)
        return False

    def keep(self, kept: KeptKey) -> tuple[str, ...]:
        """The create is durable; those who waited for it. Harmless twice."""
        self._kept[kept.key] = kept
        self._keys[kept.container_id] = kept.key
        claim = self._claims.pop(kept.key, None)
        return tuple(claim.waiting) if claim is not None else ()

    def free(self, key: str, claimant: str) -> str | None:
        """The create failed, or was given up while it waited; who has the key now instead. Harmless twice."""
        claim = self._claims.get(key)
        if claim is None:
            return None
        if claim.claimant != claimant:
            if claimant in claim.waiting:
                claim.waiting.remove(claimant)
            return None
        if not claim.waiting:
            del self._claims[key]
            return None
        claim.claimant = claim.waiting.popleft()
        return claim.claimant

    def forget(self, container_id: str) -> None:
        """The container is gone. Harmless twice, and for one that has no key."""
        key = self._keys.pop(container_id, None)
        if key is not None:
            del self._kept[key]


class IdempotencyKeys:
    def __init__(self, database: Ref[Database]) -> None:
        self._database = database
        self._index = KeyIndex()
        self._waiting: dict[str, Deferred[KeptKey | None]] = {}

    async def __aenter__(self) -> Self:
        self._index = KeyIndex(await self._database.ask(Database.kept_keys))
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def claim(self, key: str, fingerprint: str, claimant: str) -> Deferred[KeptKey | None]:
        """The create that the key stands for, once it is through; None if `claimant` is to go ahead.

        Raises:
            Conflict: see `KeyIndex.claim`.
        """
        answer: Deferred[KeptKey | None] = Deferred()
        outcome = self._index.claim(key, fingerprint, claimant)
        if isinstance(outcome, KeptKey):
            answer.resolve(outcome)
        elif outcome:
            answer.resolve(None)
        else:
            self._waiting[claimant] = answer
        return answer

    async def keep(self, kept: KeptKey) -> None:
        """See `KeyIndex.keep`. Named in full, because this actor may have been restarted since the claim."""
        for claimant in self._index.keep(kept):
            self._resolve(claimant, kept)

    async def free(self, key: str, claimant: str) -> None:
        """See `KeyIndex.free`."""
        given_up = self._waiting.pop(claimant, None)
        if given_up is not None:  # nobody reads this, but an actor does not stop while it owes
            given_up.fail(Cancelled("the request has been called off"))
        heir = self._index.free(key, claimant)
        if heir is not None:
            self._resolve(heir, None)

    async def forget(self, container_id: str) -> None:
        """See `KeyIndex.forget`."""
        self._index.forget(container_id)

    def _resolve(self, claimant: str, kept: KeptKey | None) -> None:
        answer = self._waiting.pop(claimant, None)
        if answer is not None:
            answer.resolve(kept)
