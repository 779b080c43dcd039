"""Containers, images and volumes for tests: plain ones, and one with something in every field."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import replace

from daemon.container import Container, ContainerConfig, HostConfig, Mount
from daemon.image import Image, Layer
from daemon.storage.oci import digest_of
from daemon.volume import Volume

T = TypeVar("T")


def id_of(number: int) -> str:
    return f"{number:064x}"


def container(number: int, name: str = "", *, volumes: tuple[str, ...] = (), **fields: object) -> Container:
    plain = Container(
        id=id_of(number),
        name=name or f"name{number}",
        created_ns=number,
        path="sh",
        args=(),
        config=ContainerConfig(image="busybox"),
        host_config=HostConfig(),
        image_id=digest_of(b"image"),
        mounts=tuple(Mount(type="volume", destination=f"/{volume}", name=volume) for volume in volumes),
    )
    return replace(plain, **fields)


def image(content: bytes = b"image", *layers: Layer) -> Image:
    return Image(
        id=digest_of(content),
        manifest_digest=digest_of(content + b"manifest"),
        manifest_bytes=10,
        created="2026-01-01T00:00:00Z",
        architecture="amd64",
        os="linux",
        config=ContainerConfig(),
        layers=layers,
    )


def layer(content: bytes) -> Layer:
    digest = digest_of(content)
    return Layer(
        digest=digest, media_type="tar", blob_bytes=1, diff_id=digest, chain_id=digest, unpacked_bytes=len(content)
    )


def volume(name: str) -> Volume:
    return Volume(name=name, created_ns=1)


def filled(kind: type[T]) -> T:
    """A record with something in every field, at every depth."""
    return typing.cast("T", _example(kind, "x"))


def _example(kind: object, text: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return next(_example(choice, text) for choice in arguments if choice is not NoneType)
    if origin is tuple and arguments[1:] == (...,):
        return (_example(arguments[0], text), _example(arguments[0], f"{text}2"))
    if origin is tuple:
        return tuple(_example(each, text) for each in arguments)
    if origin is Mapping:
        return {f"{text} \N{SNOWMAN}\0\"'": _example(arguments[1], text)}
    if kind is str:
        return text
    if kind is bool:
        return True
    if kind is int:
        return 2**63 - 1
    assert isinstance(kind, type)
    hints = get_type_hints(kind)
    return kind(**{field.name: _example(hints[field.name], field.name) for field in msgspec.structs.fields(kind)})
