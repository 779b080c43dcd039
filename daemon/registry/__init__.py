"""A client of registries: the distribution API, its authentication, and what its documents mean.

    addresses     which host a name means, and whether it may be spoken to without TLS      pure
    challenges    what a registry asks for in `WWW-Authenticate`                            pure
    credentials   who the client of the Engine API says that he is                          pure
    documents     manifests, tags, tokens and errors as registries write them               pure
    refusals      what went wrong, in Moby's words                                          pure
    session       one conversation: authentication, redirects, limits                       HTTP, by httpx
    client        the distribution API on a session, call by call

Everything that a registry says is a stranger's: documents are limited before they are read, digests are checked by whoever stores
the bytes, and credentials go to the registry's own origin and to the token server that it names, never along a redirect.
Source of the API: OCI distribution-spec v1.1, and the distribution project's token specification.
"""
