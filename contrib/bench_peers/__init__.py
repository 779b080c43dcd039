"""What others may do to those who create: clients that sit there or send slowly, and many more than can be served.

    python -m contrib.bench_peers slow        # 16 clients create, with and without 1,000 idle connections and 300 slow senders
    python -m contrib.bench_peers overload    # creates a second at four times what the daemon can do

`creates` asks and measures, `crowd` has the bad peers, in a process of their own; `slow` and `overload` are the two measurements.
"""
