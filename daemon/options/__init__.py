"""How an operator says what is in `Config`: a flag, an environment variable, a line of a file, in this order of precedence.

    table    what can be said: each field of Config, its kind, its flag, its help
    kinds    what a value may look like, and how it is shown
    sources  file, environment and flags -> a Config, and where each value came from
    command  the flags, and `boatyardd config`
    reload   what of a changed Config a running daemon takes over

Knows no server and no engine: what is done with a Config is `__main__`'s affair.
"""
