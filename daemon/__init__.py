"""The Boatyard daemon: Docker's container create on supervised actors.

The map, along a request's path; each arrow is one file or folder, and nothing on the right knows what is on its left:

    __main__ -> engine -> http/server -> http/connection -> api/routes -> api/schema -> create/pipeline
             -> services/* (actors, by `ask`) -> storage/database (group commit), storage/content, storage/layers

`registry` is the other end of a pull or a push: a client of registries, for `create/image_puller` and `create/image_pusher`.
`supervision` builds the tree, `errors` has the kinds of failure, `container` and `image` the nouns.
`tests/test_tidy.py` holds the table of who may import whom.
"""
