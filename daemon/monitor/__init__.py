"""Those who look at a daemon from outside, each a process of its own: `boatyardd top` and `boatyardd dashboard`.

    command -> top -> client -> GET /boatyard/overview (api/overview)
                   -> screen, plain
            -> dashboard (with page.html) -> client

They know of the daemon what its socket tells them, in the types of `daemon.overview`. What comes from there has been said by
strangers, too: names of containers, texts of errors. It is shown without control characters, and never as markup.
"""
