"""Container names: what is allowed, which to try for a container that was given none. Pure.

Rules and texts are Moby's (daemon/names.go, pkg/namesgenerator); the words are our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from daemon.container import short_id
from daemon.errors import InvalidParameter

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)

NAME_LENGTH_MAX = 255
"""Unlike Moby, which has no limit: a name is a host name, a file name and a label to other tools."""

ADJECTIVES = (
    "able agile amber apt azure bold brave breezy bright brisk buoyant calm candid careful cheerful clear clever coastal "
    "cool coral crisp curious daring dazzling deep deft eager earnest easy elated epic fair faithful fearless festive fine "
    "firm fleet fond frank free fresh friendly gallant gentle gifted glad golden graceful grand great hale handy happy "
    "hardy hearty honest hopeful humble ideal jolly jovial keen kind lively loving loyal lucid lucky mellow merry mighty "
    "modest neat nimble noble optimistic patient peaceful placid plucky polite proud quick quiet quirky radiant ready "
    "relaxed robust salty serene sharp silver sleek smooth snug sober sound spry stable steady stoic strong sunny sure "
    "swift tender thrifty tidal tidy tough tranquil trim trusty upbeat valiant vivid vigilant warm watchful wise witty "
    "wonderful worthy young zealous zen"
).split()

SURNAMES = (
    "abel agnesi allen amdahl ampere archimedes avogadro babbage banach bardeen bassi bell bernoulli bhabha bohr boole "
    "bose brahe brunel cantor carson cartwright carver cauchy celsius chandrasekhar clarke cook copernicus coulomb curie "
    "darwin davinci dijkstra dirac drake drebbel earhart easley edison einstein elion engelbart erdos ericsson euclid euler "
    "faraday fermat fermi feynman foucault fourier franklin fulton galileo galois gauss germain goldberg goodall gould "
    "hamilton hawking heisenberg hero herschel hertz hodgkin hofstadter hooke hopper hubble hugle huygens hypatia jang "
    "jennings jepsen johnson joliot jones kalam kapitsa kare keller kepler khayyam kilby kirch knuth kovalevsky lagrange "
    "lalande lamarr lamport laplace lavoisier leavitt leibniz lewin liskov lovelace lumiere magellan maxwell mayer mccarthy "
    "mcclintock meitner mendel mendeleev mercator mirzakhani moore morse moser napier nash neumann newton nightingale nobel "
    "noether noyce ohm pascal pasteur payne perlman pike planck poincare ptolemy pythagoras raman ramanujan ride ritchie "
    "rubin rutherford saha sammet sanderson shannon shockley sinoussi slocum snyder spence stallman stonebraker sutherland "
    "swanson swirles tesla thompson torvalds turing varahamihira vaughan villani volta watt wescoff wilbur wiles williams "
    "wilson wing wozniak wright wu yalow yonath zuse"
).split()

_NEVER = "boring_wozniak"  # Steve Wozniak is not boring (namesgenerator)
_RANDOM_TRIES = 6


def check_name(requested: str) -> str:
    """The name without its leading slash.

    Raises:
        InvalidParameter: it breaks the rules.
    """
    name = requested.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise InvalidParameter(f"Invalid container name ({requested}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidParameter(f"container name is too long ({len(name)} characters, at most {NAME_LENGTH_MAX})")
    return name


def candidate_names(container_id: str, rng: Random) -> Iterator[str]:
    """Names to try for an unnamed container: six random ones, then the first 12 characters of its id.

    From the second try on a digit is appended. Order and number as in Moby v28, daemon/names.go generateAndReserveName.
    """
    for attempt in range(_RANDOM_TRIES):
        name = _NEVER
        while name == _NEVER:
            name = f"{rng.choice(ADJECTIVES)}_{rng.choice(SURNAMES)}"
        yield name if attempt == 0 else f"{name}{rng.randrange(10)}"
    yield short_id(container_id)
