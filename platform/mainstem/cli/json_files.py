"""The JSON files that some of Kafka's tools take, read with Kafka's complaints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mainstem.cli.arguments import CommandError

VERSION = 1


def read_object(path: str) -> Mapping[str, object]:
    """Raises: CommandError for a file that is not there, is no JSON object, or of another version than 1."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"Unable to read file {path}: {error.strerror}") from None
    except ValueError:
        raise CommandError(f"The input string is not a valid JSON: {path}") from None
    if not isinstance(document, dict):
        raise CommandError(f"The input string is not a valid JSON object: {path}")
    if document.get("version", VERSION) != VERSION:
        raise CommandError(f"Not supported version field value {document['version']}")
    return document


def objects(document: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """The list of objects in a field. Raises: CommandError."""
    if name not in document:
        raise CommandError(f"Missing {name} field")
    found = document[name]
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CommandError(f"The field `{name}` must be a list of objects")
    return found


def text_of(entry: Mapping[str, object], name: str) -> str:
    """Raises: CommandError."""
    value = _field(entry, name)
    if not isinstance(value, str):
        raise CommandError(f"The field `{name}` must be a string, not {json.dumps(value)}")
    return value


def number_of(entry: Mapping[str, object], name: str) -> int:
    """Raises: CommandError."""
    value = _field(entry, name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CommandError(f"The field `{name}` must be a whole number, not {json.dumps(value)}")
    return value


def _field(entry: Mapping[str, object], name: str) -> object:
    if name not in entry:
        raise CommandError(f"No such field exists: `{name}`")
    return entry[name]
