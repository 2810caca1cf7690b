"""Where a broker's configuration comes from: a properties file, under the environment, under overrides.

    settings = load_settings(Path("server.properties"), os.environ, ["num.partitions=3"])
    for warning in settings.warnings: ...

Environment variables are read as the container images do: `KAFKA_NUM_PARTITIONS` is `num.partitions`,
two underscores stand for one, three for a dash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.broker_keys import HONOURED_KEYS
from mainstem.model.configs.broker_known import all_broker_keys, is_known
from mainstem.model.configs.nearest import suggestion
from mainstem.model.errors import ConfigError

ENVIRONMENT_PREFIX = "KAFKA_"
_NOT_CONFIGURATION = (
    "KAFKA_OPTS",
    "KAFKA_HOME",
    "KAFKA_VERSION",
    "KAFKA_MODE",
    "KAFKA_DEBUG",
    "KAFKA_CLUSTERS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_CLUSTER_ID",
    "KAFKA_JVM_",
    "KAFKA_JMX_",
    "KAFKA_JDK_",
    "KAFKA_LOG4J_",
    "KAFKA_TOOLS_LOG4J_",
    "KAFKA_CFG_LOG4J_",
    "KAFKA_BOOTSTRAP_SERVERS",
)
"""Variables, and beginnings of such, that Kafka's scripts and images use for something else."""

_SECURITY = ("authorizer.", "sasl.", "ssl.", "super.users", "listener.name.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`origins` tells for every key that was set where its value came from, for messages."""

    config: BrokerConfig
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str]


def load_settings(
    path: Path | None, env: Mapping[str, str], overrides: Sequence[str], *, override_origin: str = "--override"
) -> Settings:
    """Raises: ConfigError, naming key, value and what is allowed; also for a file that cannot be read."""
    texts: dict[str, str] = {}
    origins: dict[str, str] = {}
    layers = (
        (read_properties(path) if path is not None else {}, str(path)),
        (read_environment(env), "the environment"),
        (read_overrides(overrides), override_origin),
    )
    for layer, origin in layers:
        texts.update(layer)
        origins.update(dict.fromkeys(layer, origin))
    return Settings(config=BrokerConfig.from_texts(texts), warnings=warn(texts, origins), origins=origins)


def read_properties(path: Path) -> dict[str, str]:
    """A Java properties file, parsed as Java does.

    Raises: ConfigError.
    """
    # The parser is imported only where there is a file: most embedded brokers start without one.
    import javaproperties

    try:
        with path.open(encoding="utf-8") as file:
            return dict(javaproperties.load(file))
    except OSError as error:
        raise ConfigError("configuration file", str(path), error.strerror or str(error)) from None
    except (UnicodeDecodeError, javaproperties.InvalidUEscapeError) as error:
        raise ConfigError("configuration file", str(path), f"not a Java properties file: {error}") from None


def read_environment(env: Mapping[str, str]) -> dict[str, str]:
    return {
        environment_key(name): value
        for name, value in env.items()
        if name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(_NOT_CONFIGURATION)
    }


def environment_key(name: str) -> str:
    """`KAFKA_LOG_RETENTION_MS` → `log.retention.ms`; `__` is a real underscore, `___` a dash."""
    key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
    return key.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")


def read_overrides(overrides: Sequence[str]) -> dict[str, str]:
    """Raises: ConfigError for one without `=`."""
    texts = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError("--override", override, "the form is key=value")
        texts[key.strip()] = value.strip()
    return texts


def warn(texts: Mapping[str, str], origins: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for every unknown key, one for security that is not there, one for the other idle keys."""
    if all(name in HONOURED_KEYS for name in texts):
        return ()
    known = all_broker_keys()
    warnings = [
        f"{origins[name]}: {name} is not a known configuration{suggestion(name, known)}"
        for name in texts
        if not is_known(name)
    ]
    idle = [name for name in texts if name in known and not known[name].in_effect and texts[name].strip()]
    security = [name for name in texts if name.startswith(_SECURITY) and is_known(name)]
    if security:
        warnings.append(f"this broker does not protect anything yet; without effect: {', '.join(security)}")
    idle = [name for name in idle if name not in security]
    if idle:
        warnings.append(f"accepted for compatibility, without effect: {', '.join(idle)}")
    return tuple(warnings)
