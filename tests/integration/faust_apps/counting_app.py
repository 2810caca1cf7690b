"""An ordinary Faust application: it knows nothing of mainstem, only the address it finds in its environment.

It counts words in a table, announces each new count, and its timer says how many words it knows.
"""

import os

import faust

NAME = os.environ["COUNTING_APP_NAME"]

app = faust.App(
    NAME,
    broker=f"kafka://{os.environ['COUNTING_APP_BOOTSTRAP']}",
    datadir=os.environ["COUNTING_APP_DATADIR"],
    store="memory://",
    topic_partitions=2,
    topic_replication_factor=1,
    broker_heartbeat_interval=0.5,
    broker_session_timeout=6.0,
    stream_wait_empty=False,
    processing_guarantee=os.environ.get("COUNTING_APP_GUARANTEE", "at_least_once"),
)


class Word(faust.Record):
    text: str


class Count(faust.Record):
    text: str
    count: int


words = app.topic(f"{NAME}-words", key_type=str, value_type=Word, partitions=2)
counts = app.topic(f"{NAME}-counts", key_type=str, value_type=Count, partitions=2)
known = app.topic(f"{NAME}-known", value_type=int, partitions=1)
table = app.Table("word-counts", default=int, partitions=2)


@app.agent(words)
async def count_words(stream: faust.Stream[Word]) -> None:
    async for word in stream:
        table[word.text] += 1
        await counts.send(key=word.text, value=Count(word.text, table[word.text]))


@app.timer(interval=0.5)
async def announce() -> None:
    await known.send(value=len(table))


if __name__ == "__main__":
    app.main()
