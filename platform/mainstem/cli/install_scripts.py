"""`mainstem install-scripts DIR`: kafka-topics.sh and its like, so that the commands of a tutorial run as they are printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.script_texts import CLIENT_PROPERTIES, MARK, scripts, server_properties

EXAMPLES = (
    "mainstem install-scripts bin                      bin/kafka-topics.sh …, config/server.properties",
    "mainstem install-scripts /opt/kafka/bin --python /opt/venv/bin/python",
)
SCRIPTS_FOLDER = "bin"
MODE = 0o755


def main(arguments: Sequence[str]) -> int:
    parser = Parser("install-scripts", "Write Kafka's scripts, which call these commands.", EXAMPLES)
    parser.add_argument("directory", metavar="DIR", help="where the scripts go; config goes beside a folder named bin")
    parser.value("--python", "PATH", "the interpreter that has mainstem", default=sys.executable)
    parser.flag("--force", "also overwrite scripts that are not ours")
    options = parser.read(arguments)
    directory = Path(options.directory).absolute()
    # Kafka's own folders: scripts in bin, configuration in config beside it.
    to_base = ".." if directory.name == SCRIPTS_FOLDER else "."
    base = directory.parent if to_base == ".." else directory
    texts = scripts(options.python, to_base)
    foreign = [name for name in texts if is_foreign(directory / name)]
    if foreign and not options.force:
        raise CommandError(
            f"{directory} holds {', '.join(foreign[:3])}{' …' if len(foreign) > 3 else ''} of somebody else:"
            " choose another directory, or say --force"
        )
    try:
        write_all(directory, texts)
        written = write_config(base)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None
    print(f"{len(texts)} scripts are in {directory}")
    for path in written:
        print(f"wrote {path}")
    return 0


def is_foreign(path: Path) -> bool:
    """Whether a file is there that this command has not written."""
    return path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")


def write_all(directory: Path, texts: dict[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(MODE)


def write_config(base: Path) -> list[Path]:
    """Configuration files that are not there yet; others are somebody's work."""
    texts = {
        "server.properties": server_properties(str(base / "data")),
        "producer.properties": CLIENT_PROPERTIES,
        "consumer.properties": CLIENT_PROPERTIES,
    }
    folder = base / "config"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [(folder / name, text) for name, text in texts.items() if not (folder / name).exists()]
    for path, text in missing:
        path.write_text(text, encoding="utf-8")
    return [path for path, _ in missing]
