"""Java programs of our own in tests/conformance/java, compiled once against Kafka's jars."""

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from peers.class_path import CACHE, LOG_CONFIGURATION, kafka_applications_class_path, require_program

_SOURCES = Path(__file__).resolve().parents[1] / "java"
_COMPILE_TIMEOUT_S = 300
_SMALL_JVM = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def java_command(main_class: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs `main_class` of ours or of Kafka Connect, compiling ours if need be.

    Raises:
        PeerUnavailableError: the Java compiler or Maven is missing.
    """
    class_path = kafka_applications_class_path()
    logging = [f"-Dlog4j2.configurationFile={LOG_CONFIGURATION}", "-Dkafka.log.level=WARN"]
    return ["java", *_SMALL_JVM, *logging, "-cp", f"{_compiled(class_path)}:{class_path}", main_class, *arguments]


def run_java(main_class: str, arguments: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run to the end. Raises: subprocess.TimeoutExpired."""
    return subprocess.run(
        java_command(main_class, arguments),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"},
    )


def _compiled(class_path: str) -> Path:
    """The folder of the compiled classes."""
    compiler = require_program("javac", "a Java development kit, version 17 or newer")
    sources = sorted(_SOURCES.glob("*.java"))
    content = b"".join(source.read_bytes() for source in sources)
    folder = CACHE / f"java-programs-{hashlib.sha256(content).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "compiled"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            command = [compiler, "--release", "17", "-cp", class_path, "-d", str(folder), *map(str, sources)]
            finished = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_S, check=False)
            assert finished.returncode == 0, f"the Java programs do not compile:\n{finished.stderr}"
            stamp.touch()
    return folder
