"""What lies on the disk: the database of records, image content named by digest, unpacked layers and the view through them.

Everything here is synchronous and runs in worker threads or in the one thread of the database's writer. Knows the nouns
(`daemon.container`, `daemon.image`) and the kinds of failure (`daemon.errors`), and nothing above: no actors, no HTTP.
"""
