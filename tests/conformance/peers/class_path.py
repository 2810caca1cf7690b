"""The jars of Apache Kafka, fetched once by Maven into the ignored cache of the repository."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

KAFKA_VERSION = "4.1.0"

_HERE = Path(__file__).resolve().parent
CACHE = _HERE.parents[2] / ".cache"
_DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_FETCH_TIMEOUT_S = 900

LOG_CONFIGURATION = _HERE / "kafka" / "log4j2.properties"


class PeerUnavailableError(Exception):
    """A program to compare with could not be fetched or started; the text says what to install or read."""


def kafka_class_path() -> str:
    """Return the class path of Apache Kafka `KAFKA_VERSION` and its tools, fetching the jars if needed.

    Safe to call from several processes at once: the first one fetches, the others wait.

    Raises:
        PeerUnavailableError: Java or Maven is missing, or Maven could not resolve the artifacts.
    """
    return _class_path("kafka")


def kafka_applications_class_path() -> str:
    """Return the class path of Kafka Streams and Kafka Connect `KAFKA_VERSION`, otherwise as `kafka_class_path`."""
    return _class_path("kafka_applications")


def _class_path(name: str) -> str:
    """The jars that the pom in the folder `name` asks for."""
    require_program("java", "a Java runtime, version 17 or newer")
    pom = _HERE / name / "pom.xml"
    folder = CACHE / f"{name.replace('_', '-')}-{KAFKA_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    stamp = folder / "fetched"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _fetch(pom, folder / "libs")
            stamp.write_text(wanted)
    return f"{folder / 'libs'}/*"


def require_program(name: str, description: str) -> str:
    """Return the full path of an installed program.

    Raises:
        PeerUnavailableError: it is not on the search path.
    """
    found = shutil.which(name)
    if found is None:
        raise PeerUnavailableError(f"{name} is not installed: the conformance tests need {description}")
    return found


def _fetch(pom: Path, libs: Path) -> None:
    maven = require_program("mvn", "Maven, which fetches Apache Kafka by its artifact names")
    shutil.rmtree(libs, ignore_errors=True)
    finished = subprocess.run(
        [maven, "-q", "-B", "-f", str(pom), _DEPENDENCY_PLUGIN, f"-DoutputDirectory={libs}"],
        capture_output=True,
        text=True,
        timeout=_FETCH_TIMEOUT_S,
        check=False,
    )
    if finished.returncode != 0:
        raise PeerUnavailableError(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}:\n{finished.stdout[-4000:]}")
