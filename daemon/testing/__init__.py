"""Docker without Docker, for tests: a whole engine in a thread of the test's process, and its bad days on demand.

    with in_memory() as home, DockerEngine(home) as engine:  # in pytest: the fixture `docker_engine`
        engine.image("busybox")
        with engine.faults.fail("layer"):
            ...                                              # whoever creates a container at `engine.host` now gets a 500

Nothing here is faked: containers are created by the daemon's code, through its API, on real files. They cannot be run, as
everywhere here.
"""

from daemon.testing.docker_engine import DockerEngine, EngineDown, in_memory
from daemon.testing.faults import Fault, Faults

__all__ = ["DockerEngine", "EngineDown", "Fault", "Faults", "in_memory"]
