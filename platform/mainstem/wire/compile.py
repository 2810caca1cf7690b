"""Turn the field tables of `wire.schema` into one straight-line encoder and decoder per (message, version).

A message's table is read once, on the first use of a version; the result is Python source compiled by `exec`, in which
runs of fixed-size fields are one `struct` call. That is three to ten times faster than walking the table per message,
and it reads and writes the version-neutral classes of `wire.messages` directly.

Wire rules: Kafka protocol guide; compact encodings and tagged fields KIP-482; nullable structs KIP-893.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from mainstem.wire.schema import Field, Message

Encoder = Callable[[Message, bytearray], None]
Decoder = Callable[[memoryview, int], tuple[Message, int]]

FIXED = {
    "int8": "b",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "float64": "d",
    "bool": "?",
    "uuid": "16s",
}
VARINT_BYTES_MAX = 5


class MalformedMessage(ValueError):
    """Bytes that are not a message of the announced API and version. The text names the field that could not be read."""


def write_uvarint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_uvarint(buffer: memoryview, position: int) -> tuple[int, int]:
    """Returns (value, next position). Raises: MalformedMessage after five bytes, IndexError at the end of the buffer."""
    value = shift = 0
    for _ in range(VARINT_BYTES_MAX):
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise MalformedMessage("a variable-length integer is longer than 5 bytes")


def take(buffer: memoryview, position: int, size: int, name: str) -> memoryview:
    if size < 0 or size > len(buffer) - position:
        raise MalformedMessage(f"field {name} says {size} bytes, {max(0, len(buffer) - position)} are left")
    return buffer[position : position + size]


def check_count(buffer: memoryview, position: int, count: int, name: str) -> None:
    # Every element takes at least one byte, so a larger count is a lie that must not cost memory.
    if count < 0 or count > len(buffer) - position:
        raise MalformedMessage(f"array {name} says {count} elements, {max(0, len(buffer) - position)} bytes are left")


def message_class(owner: type[Message], name: str) -> type[Message]:
    found: type[Message] = vars(sys.modules[owner.__module__])[name]
    assert issubclass(found, Message), f"{name} in {owner.__module__} is not a message"
    return found


class _Source:
    """Lines of one function and the names its body needs."""

    def __init__(self, owner: type[Message], version: int, flexible: bool) -> None:
        self.owner = owner
        self.version = version
        self.flexible = flexible
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "uvarint": write_uvarint,
            "read_uvarint": read_uvarint,
            "take": take,
            "check_count": check_count,
            "Malformed": MalformedMessage,
        }
        self.fixed_run: list[tuple[str, str]] = []

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def bind(self, prefix: str, value: Any) -> str:
        for name, bound in self.names.items():
            if bound is value and name.startswith(prefix):
                return name
        name = f"{prefix}{len(self.names)}"
        self.names[name] = value
        return name

    def packer(self, formats: str) -> struct.Struct:
        return _packer(">" + formats)

    def compile(self, name: str, arguments: str) -> Any:
        text = f"def {name}({arguments}):\n" + "\n".join(self.lines)
        code = compile(text, f"<{self.owner.__name__} v{self.version} {name}>", "exec")
        exec(code, self.names)
        return self.names[name]


@cache
def _packer(formats: str) -> struct.Struct:
    return struct.Struct(formats)


@cache
def encoder(message: type[Message], version: int, flexible: bool) -> Encoder:
    """The function `(message, out)` that appends the message's bytes in that version."""
    source = _Source(message, version, flexible)
    plain = [f for f in message.layout if f.travels_in(version) and (f.tag is None or not flexible)]
    plain = [f for f in plain if f.tag is None]
    for field in plain:
        if field.type in FIXED and not field.type.startswith("[]") and not field.is_nullable_in(version):
            source.fixed_run.append((FIXED[field.type], f"m.{field.name}"))
            continue
        _encode_flush(source, 1)
        _encode_value(source, field, f"m.{field.name}", 1, field.is_nullable_in(version))
    _encode_flush(source, 1)
    if flexible:
        _encode_tags(source, [f for f in message.layout if f.tag is not None and f.travels_in(version)])
    if not source.lines:
        source.line(1, "pass")
    function: Encoder = source.compile("encode", "m, out")
    return function


def _encode_flush(source: _Source, depth: int) -> None:
    """Write the fixed-size fields collected so far with one pack."""
    if source.fixed_run:
        pack = source.bind("pack_", source.packer("".join(f for f, _ in source.fixed_run)).pack)
        source.line(depth, f"out += {pack}({', '.join(v for _, v in source.fixed_run)})")
        source.fixed_run = []


def _encode_length(source: _Source, depth: int, expression: str, wide: bool) -> None:
    if source.flexible:
        source.line(depth, f"n = {expression} + 1")
        source.line(depth, "out.append(n) if n < 128 else uvarint(out, n)")
    else:
        pack = source.bind("pack_", source.packer("i" if wide else "h").pack)
        source.line(depth, f"out += {pack}({expression})")


def _encode_null(source: _Source, depth: int, wide: bool) -> None:
    null = b"\0" if source.flexible else (b"\xff\xff\xff\xff" if wide else b"\xff\xff")
    source.line(depth, f"out += {null!r}")


def _encode_value(source: _Source, field: Field, value: str, depth: int, nullable: bool) -> None:
    kind = field.type.removeprefix("[]")
    if field.type.startswith("[]"):
        if nullable:
            source.line(depth, f"if {value} is None:")
            _encode_null(source, depth + 1, wide=True)
            source.line(depth, "else:")
            depth += 1
        _encode_length(source, depth, f"len({value})", wide=True)
        if kind in FIXED:
            pack = source.bind("pack_", source.packer(FIXED[kind]).pack)
            source.line(depth, f"for e in {value}: out += {pack}(e)")
            return
        source.line(depth, f"for e in {value}:")
        _encode_scalar(source, kind, "e", depth + 1, nullable=False)
        return
    _encode_scalar(source, kind, value, depth, nullable)


def _encode_scalar(source: _Source, kind: str, value: str, depth: int, nullable: bool) -> None:
    if kind in ("string", "bytes", "records"):
        wide = kind != "string"
        if nullable:
            source.line(depth, f"if {value} is None:")
            _encode_null(source, depth + 1, wide)
            source.line(depth, "else:")
            depth += 1
        source.line(depth, f"b = {value}.encode()" if kind == "string" else f"b = {value}")
        _encode_length(source, depth, "len(b)", wide)
        source.line(depth, "out += b")
    elif kind in FIXED:
        pack = source.bind("pack_", source.packer(FIXED[kind]).pack)
        source.line(depth, f"out += {pack}({value})")
    else:
        part = encoder(message_class(source.owner, kind), source.version, source.flexible)
        name = source.bind("part_", part)
        if nullable:
            source.line(depth, f"if {value} is None: out += b'\\xff'")
            source.line(depth, "else:")
            source.line(depth + 1, "out += b'\\x01'")
            depth += 1
        source.line(depth, f"{name}({value}, out)")


def _encode_tags(source: _Source, tagged: list[Field]) -> None:
    """Tagged fields: count, then tag, size, value, in tag order, defaults left out (KIP-482)."""
    if not tagged:
        source.line(1, "out.append(0)")
        return
    source.line(1, "tags = []")
    defaults = source.bind("default_", source.owner())
    for field in sorted(tagged, key=lambda f: f.tag or 0):
        if _is_nullable_part(source, field):
            # Java's generated code leaves null in, as a varint 0; a part is announced by a varint 1.
            source.line(1, "whole, out = out, bytearray()")
            source.line(1, f"out.append(0 if m.{field.name} is None else 1)")
            source.line(1, f"if m.{field.name} is not None:")
            _encode_scalar(source, field.type, f"m.{field.name}", 2, nullable=False)
            source.line(1, f"tags.append(({field.tag}, out)); out = whole")
            continue
        source.line(1, f"if m.{field.name} != {defaults}.{field.name}:")
        source.line(2, "whole, out = out, bytearray()")
        _encode_value(source, field, f"m.{field.name}", 2, field.is_nullable_in(source.version))
        source.line(2, f"tags.append(({field.tag}, out)); out = whole")
    source.line(1, "uvarint(out, len(tags))")
    source.line(1, "for tag, value in tags:")
    source.line(2, "uvarint(out, tag); uvarint(out, len(value)); out += value")


def _is_nullable_part(source: _Source, field: Field) -> bool:
    kind = field.type
    is_part = kind not in FIXED and kind not in ("string", "bytes", "records") and not kind.startswith("[]")
    return is_part and field.is_nullable_in(source.version)


@cache
def decoder(message: type[Message], version: int, flexible: bool) -> Decoder:
    """The function `(buffer, position) -> (message, next position)` for that version.

    Raises (the function): MalformedMessage, and struct.error, IndexError or UnicodeDecodeError where a fixed field is cut
    off or a string is not UTF-8; `wire.codec` turns them all into MalformedMessage.
    """
    source = _Source(message, version, flexible)
    source.names["Message"] = message
    run: list[tuple[str, str]] = []
    given: list[str] = []
    for field in message.layout:
        if not field.travels_in(version) or field.tag is not None:
            continue
        given.append(field.name)
        if field.type in FIXED and not field.is_nullable_in(version):
            run.append((FIXED[field.type], f"v_{field.name}"))
            continue
        _decode_flush(source, run)
        run = []
        _decode_value(source, field, 1, field.is_nullable_in(version))
    _decode_flush(source, run)
    if flexible:
        tagged = [f for f in message.layout if f.tag is not None and f.travels_in(version)]
        _decode_tags(source, tagged)
        given += [f.name for f in tagged]
    source.line(1, f"return Message({', '.join(f'{n}=v_{n}' for n in given)}), pos")
    function: Decoder = source.compile("decode", "buf, pos")
    return function


def _decode_flush(source: _Source, run: list[tuple[str, str]]) -> None:
    if run:
        packer = source.packer("".join(f for f, _ in run))
        unpack = source.bind("unpack_", packer.unpack_from)
        source.line(1, f"{', '.join(v for _, v in run)}, = {unpack}(buf, pos)")
        source.line(1, f"pos += {packer.size}")


def _decode_length(source: _Source, depth: int, wide: bool) -> None:
    """Sets `n`; -1 means null."""
    if source.flexible:
        source.line(depth, "n = buf[pos] - 1; pos += 1")
        source.line(depth, "if n >= 127:")
        source.line(depth + 1, "n, pos = read_uvarint(buf, pos - 1); n -= 1")
    else:
        packer = source.packer("i" if wide else "h")
        unpack = source.bind("unpack_", packer.unpack_from)
        source.line(depth, f"n, = {unpack}(buf, pos); pos += {packer.size}")


def _decode_value(source: _Source, field: Field, depth: int, nullable: bool) -> None:
    kind = field.type.removeprefix("[]")
    target = f"v_{field.name}"
    if not field.type.startswith("[]"):
        _decode_scalar(source, kind, target, field.name, depth, nullable)
        return
    _decode_length(source, depth, wide=True)
    if nullable:
        source.line(depth, f"if n == -1: {target} = None")
        source.line(depth, "else:")
        depth += 1
    source.line(depth, f"check_count(buf, pos, n, {field.name!r})")
    if kind in FIXED:
        size = _packer(">" + FIXED[kind]).size
        source.line(depth, f"take(buf, pos, n * {size}, {field.name!r})")
        if kind == "uuid":
            source.line(depth, f"{target} = [bytes(buf[i:i + 16]) for i in range(pos, pos + n * 16, 16)]")
        else:
            unpack = source.bind("unpack_", struct.unpack_from)
            source.line(depth, f"{target} = {unpack}('>%d{FIXED[kind]}' % n, buf, pos)")
        source.line(depth, f"pos += n * {size}")
        return
    source.line(depth, f"{target} = []")
    source.line(depth, "for _ in range(n):")
    _decode_scalar(source, kind, "e", field.name, depth + 1, nullable=False)
    source.line(depth + 1, f"{target}.append(e)")


def _decode_scalar(source: _Source, kind: str, target: str, name: str, depth: int, nullable: bool) -> None:
    if kind in ("string", "bytes", "records"):
        _decode_length(source, depth, wide=kind != "string")
        source.line(
            depth,
            f"if n == -1: {target} = None" if nullable else f"if n == -1: raise Malformed({name!r} ' is null')",
        )
        source.line(depth, "else:")
        cast = "str(take(buf, pos, n, {!r}), 'utf-8')" if kind == "string" else "bytes(take(buf, pos, n, {!r}))"
        source.line(depth + 1, f"{target} = {cast.format(name)}; pos += n")
    elif kind in FIXED:
        packer = source.packer(FIXED[kind])
        unpack = source.bind("unpack_", packer.unpack_from)
        source.line(depth, f"{target}, = {unpack}(buf, pos); pos += {packer.size}")
    else:
        part = source.bind("part_", decoder(message_class(source.owner, kind), source.version, source.flexible))
        if nullable:
            source.line(depth, "present = buf[pos]; pos += 1")
            source.line(depth, f"if present == 0xff: {target} = None")
            source.line(depth, "else:")
            depth += 1
        source.line(depth, f"{target}, pos = {part}(buf, pos)")


def _decode_tags(source: _Source, tagged: list[Field]) -> None:
    """Known tags are read; unknown ones are skipped by their size (KIP-482)."""
    defaults = source.bind("default_", source.owner()) if tagged else ""
    for field in tagged:
        source.line(1, f"v_{field.name} = {defaults}.{field.name}")
    source.line(1, "count = buf[pos]; pos += 1")
    source.line(1, "if count:")
    source.line(2, "count, pos = read_uvarint(buf, pos - 1)")
    source.line(2, "check_count(buf, pos, count, 'tagged fields')")
    source.line(2, "for _ in range(count):")
    source.line(3, "tag, pos = read_uvarint(buf, pos)")
    source.line(3, "size, pos = read_uvarint(buf, pos)")
    source.line(3, "take(buf, pos, size, 'tagged field')")
    source.line(3, "end = pos + size")
    for field in tagged:
        source.line(3, f"if tag == {field.tag}:")
        if _is_nullable_part(source, field):
            source.line(4, "present, pos = read_uvarint(buf, pos)")
            source.line(4, f"if not present: v_{field.name} = None")
            source.line(4, "else:")
            _decode_scalar(source, field.type, f"v_{field.name}", field.name, 5, nullable=False)
            continue
        _decode_value(source, field, 4, field.is_nullable_in(source.version))
    source.line(3, "pos = end")
