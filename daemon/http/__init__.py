"""HTTP/1.1 on a Unix socket. Knows nothing of containers: bytes in, a Request to a handler, its Response out."""
