"""Image references: `busybox`, `quay.io/a/b:1.2`, `name@sha256:...`. Pure text; knows no image.

The grammar and the normal form are those of the distribution project (reference/regexp.go, normalize.go), the texts Docker's.
"""

from __future__ import annotations

import functools
import re

import attrs

from daemon.errors import InvalidParameter

DEFAULT_DOMAIN = "docker.io"
OFFICIAL = "library/"
NAME_LENGTH_MAX = 255

_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?", re.ASCII)
_PATH_LABEL = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PATH_LABEL}(?:/{_PATH_LABEL})*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}", re.ASCII)
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)

BAD_FORMAT = "invalid reference format"


@attrs.frozen
class Reference:
    """A reference in normal form; `str` gives all of it, `familiar` what people write."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        return self.path.removeprefix(OFFICIAL) if self.path.count("/") == 1 else self.path

    @property
    def suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def familiar(self) -> str:
        return self.familiar_name + self.suffix

    def tagged(self) -> Reference:
        """With `latest` where neither tag nor digest is given."""
        return self if self.tag or self.digest else attrs.evolve(self, tag="latest")

    def __str__(self) -> str:
        return self.name + self.suffix


@functools.lru_cache(maxsize=1024)  # every create asks for one
def parse_reference(text: str) -> Reference:
    """The reference in normal form, without a default tag.

    Raises:
        InvalidParameter: it does not follow the grammar.
    """
    if _HEX64.fullmatch(text):
        raise InvalidParameter(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidParameter(BAD_FORMAT)
    domain, path = _split_domain(rest)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise InvalidParameter(BAD_FORMAT)
    if not _PATH.fullmatch(path):
        if _PATH.fullmatch(path.lower()):
            raise InvalidParameter(f"{BAD_FORMAT}: repository name ({path}) must be lowercase")
        raise InvalidParameter(BAD_FORMAT)
    if not _DOMAIN.fullmatch(domain):
        raise InvalidParameter(BAD_FORMAT)
    if len(domain) + 1 + len(path) > NAME_LENGTH_MAX:
        raise InvalidParameter(f"repository name must not be more than {NAME_LENGTH_MAX} characters")
    return Reference(domain, path, tag, digest)


def parse_image_id(text: str) -> str | None:
    """`sha256:<hex>` if `text` is a whole image id, with or without the algorithm."""
    match = _IMAGE_ID.fullmatch(text)
    return f"sha256:{match[1]}" if match else None


def _split_domain(text: str) -> tuple[str, str]:
    """The registry and the rest: the first part is a registry if it looks like a host and not like a user."""
    first, slash, rest = text.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if not slash or not is_host:
        domain, path = DEFAULT_DOMAIN, text
    else:
        domain, path = ("docker.io" if first == "index.docker.io" else first), rest
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = OFFICIAL + path
    return domain, path
