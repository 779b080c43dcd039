"""For the tests of programs with actors in them: probes, chaos, seeded schedules, and the question whether anything was left.

    async with open_probe(Mailer) as mailer:                   # an actor that records, and replies as it is told
        mailer.reply(Mailer.send, "queued")
        await sign_up(mailer.ref)
        assert mailer.calls == [Call("send", ("welcome",))]

    async def scenario(rng: Random) -> None:                   # the same seed, the same schedule: on trio, in virtual time
        async with Supervisor(hooks=Chaos(rng)) as supervisor: # delays and crashes around every message
            ...
    with unchanged_arguments():                                # who changes what is on its way is named
        simulate(scenario, seeds=range(1000))                  # a failure names its seed

A plain class needs none of this for its unit tests: make it and call it. With pytest the plugin adds the option `--actor-seed`
and the fixtures `actor_seed`, `actor_rng`, `no_leaks` and `unchanged_arguments`.
"""

from actors.testing._chaos import Chaos, InjectedCrash, crash
from actors.testing._leaks import Leak, no_leaks, quiesce
from actors.testing._probe import Call, Probe, Unscripted, open_probe
from actors.testing._seeded import run_seeded, seeded, simulate
from actors.testing._unchanged import Changed, unchanged_arguments

__all__ = [
    "Call",
    "Changed",
    "Chaos",
    "InjectedCrash",
    "Leak",
    "Probe",
    "Unscripted",
    "crash",
    "no_leaks",
    "open_probe",
    "quiesce",
    "run_seeded",
    "seeded",
    "simulate",
    "unchanged_arguments",
]
