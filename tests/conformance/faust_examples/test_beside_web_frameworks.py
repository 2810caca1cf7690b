"""Faust's examples that live in an application of FastAPI or Django.

`livecheck.py` is not here: it calls its case `test_order`, and the class is named `Test_order`.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from faust_examples.conftest import Examples
from faust_examples.example_files import packages
from peers.node import free_ports

pytestmark = pytest.mark.conformance

NewExamples = Callable[[str], Examples]


def web_server(examples: Examples, folder: str, app: str) -> int:
    """Uvicorn with an application of the examples; its port."""
    examples.environment["PYTHONPATH"] = str(packages("fastapi", "uvicorn"))
    port = free_ports(1)[0]
    examples.run([sys.executable, "-m", "uvicorn", app, "--port", str(port)], examples.folder / folder)
    return port


def create_topic(examples: Examples, name: str) -> None:
    """With one partition, as Kafka makes it by itself: the example's table has no more."""
    admin = AdminClient({"bootstrap.servers": examples.bootstrap})
    admin.create_topics([NewTopic(name, 1)])[name].result(30)


def test_fastapi_example(new_examples: NewExamples) -> None:
    examples = new_examples("embedded")
    port = web_server(examples, ".", "fastapi_example:api")
    examples.wait_for_answer("/", lambda found: found == {"Hello": "World"}, port=port)
    assert examples.get("/produce", port=port) == {"success": True}
    [server] = examples.running
    server.wait_for_all(r"hello (\d+)", {str(number) for number in range(100)})
    server.end()
    assert "Application shutdown complete" in server.printed


@pytest.mark.parametrize("how", ["uvicorn", "faust worker"])
def test_fastapi_project(new_examples: NewExamples, how: str) -> None:
    """A global table that a web page shows; Faust inside uvicorn, and uvicorn inside Faust."""
    examples = new_examples("kafka")
    create_topic(examples, "greetings")
    if how == "uvicorn":
        port = web_server(examples, "fastapi_project", "main:api")
    else:
        examples.environment["PYTHONPATH"] = str(packages("fastapi", "uvicorn"))
        main = examples.folder / "fastapi_project" / "worker_main.py"
        port = free_ports(1)[0]
        main.write_text(main.read_text().replace("port=8000", f"port={port}"))
        examples.worker("fastapi_project/worker_main.py")
    examples.wait_for_answer("/", lambda found: found == {"Hello": "World"}, port=port)
    assert examples.get("/produce", port=port) == {"success": True}
    [server] = examples.running
    greeting = server.wait_for(r"greeting: (\w{32})")[1]
    examples.wait_for_answer("/table", lambda found: {greeting: ["hello world"]} in found, port=port)
    server.end()
    assert re.search("Application shutdown complete|Closing event loop", server.printed)


def test_django(new_examples: NewExamples) -> None:
    """Agents that keep accounts by Django's models, which Django lets asynchronous code use only where it is told to."""
    examples = new_examples("kafka")
    project = examples.folder / "django"
    examples.environment["PYTHONPATH"] = f"{packages('django')}:{project}"
    examples.environment["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    assert examples.run([sys.executable, "manage.py", "migrate"], project).process.wait(60) == 0
    faust = [sys.executable, "-m", "faust", "-A", "faustapp.app"]
    web = ["--web-host", "127.0.0.1", "--web-port", str(examples.port)]
    worker = examples.run([*faust, "worker", "--loglevel", "info", *web], project)
    worker.wait_for("Worker ready")
    # As a record of the example's own class is written.
    account = '{"name": "ada", "score": 3.5, "active": true, "__faust": {"ns": "accounts.agents.AccountRecord"}}'
    sent = examples.run([*faust, "send", "@accounts.agents.add_account", account], project)
    sent.wait_for("topic")
    [database] = project.glob("*.sqlite*")
    examples.wait_for(lambda: accounts(str(database)) == [("ada", 3.5, 1)])
    assert worker.end() == 0
    assert not re.search("Traceback", worker.printed)


def accounts(database: str) -> list[tuple[str, float, int]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT name, score, active FROM accounts_account").fetchall()
