"""Plans are immutable, describe themselves, and every mistake is named before anything starts."""

from __future__ import annotations

import pytest

from mainstem.api.batch import Batch
from mainstem.pipeline.errors import PlanError
from mainstem.pipeline.memory import memory_source
from mainstem.pipeline.plan.aggregates import Count, Mean
from mainstem.pipeline.plan.check import check
from mainstem.pipeline.plan.pipeline import Pipeline
from mainstem.pipeline.plan.steps import Plugin
from mainstem.pipeline.plan.windows import Tumbling

START = Pipeline("p").source("in")
WHOLE = START.sink("out")


def test_a_plan_never_changes_and_may_be_continued_in_two_ways():
    base = Pipeline("p").source("in")
    one, two = base.map(len), base.filter(len)
    assert [step.name for step in base.steps] == ["source"]
    assert [step.name for step in one.steps] == ["source", "map"]
    assert [step.name for step in two.steps] == ["source", "filter"]


def test_step_names_are_counted_per_kind_and_can_be_given():
    plan = START.map(len).filter(len).map(len, name="length").map(len).map(len).sink("a").sink("b")
    assert [step.name for step in plan.steps] == [
        "source", "map", "filter", "length", "map-2", "map-3", "sink", "sink-2",
    ]  # fmt: skip


def test_describe_tells_each_step_and_the_guarantee():
    plan = (
        Pipeline("delays")
        .source("flights", value=Plugin("avro", schema="flight.avsc"), timestamp="scheduled")
        .map(len)
        .filter(lambda flight: flight)
        .flat_map(list)
        .map_batches(Batch)
        .key_by("origin", "dest")
        .window(Tumbling("1d"), grace="90m")
        .aggregate(n=Count(), delay=Mean("dep_delay"))
        .sink("delays", key="string", value="json")
        .sink(connector="sql", table="delays")
    )
    assert plan.describe() == "\n".join(
        [
            "pipeline delays",
            "  source       read topic flights, value avro, event time scheduled",
            "  map          map len",
            "  filter       keep what <lambda> says",
            "  flat_map     map each to several by list",
            "  map_batches  map whole batches by Batch",
            "  key_by       key by origin, dest",
            "  window       tumbling 1d (grace 90m): n=Count(selector=None), delay=Mean(selector='dep_delay')",
            "  sink         write topic delays, key string, value json, partitioner murmur2",
            "  sink-2       write connector sql",
            "  every record reaches every sink at least once; topics exactly once with --exactly-once",
        ]
    )


def test_a_whole_plan_passes(catalog):
    (graph,) = check([WHOLE], catalog)
    assert graph.steps == WHOLE.steps
    assert repr(WHOLE) == "Pipeline('p': source → sink)"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: START.map(5), "map needs a function, got 5"),
        (lambda: START.filter(None), "filter needs a function, got None"),
        (lambda: START.flat_map("x"), "flat_map needs a function, got 'x'"),
        (lambda: START.map_batches(7), "map_batches needs a function, got 7"),
        (START.key_by, "key_by needs fields or one function, got ()"),
        (lambda: START.key_by(len, "a"), "key_by needs fields or one function"),
        (lambda: START.key_by(5), "key_by needs a function, got 5"),
        (lambda: START.window("1d"), "window needs a window such as Tumbling(\"1d\"), got '1d'"),
        (lambda: START.window(Tumbling("1d"), grace="soon"), "window: grace: 'soon' is no duration"),
        (lambda: START.window(Tumbling("1d")).aggregate(), "aggregate needs at least one"),
        (
            lambda: START.key_by("origin").window(Tumbling("1d")).aggregate(origin=Count()),
            "aggregate 'origin' has the name of another field of the result",
        ),
        (lambda: START.window(Tumbling("1d")).aggregate(n=Count), "not an aggregate such as Mean('price')"),
        (lambda: START.window(Tumbling("1d")).aggregate(n=5), "aggregate 'n' is 5, not an aggregate"),
        (
            lambda: Pipeline("p").source("in", valu="json"),
            "source of a topic has no setting 'valu'; did you mean value?",
        ),
        (lambda: START.sink("out", partition=3), "sink of a topic has no setting 'partition'; did you mean partition"),
        (START.sink, "sink needs one topic, or connector="),
        (lambda: START.sink("a", "b"), "sink needs one topic, or connector="),
        (lambda: START.sink("a", connector="sql"), "sink takes a topic or connector=, not both"),
        (lambda: Pipeline("p").source("a", connector="files"), "source takes topics or connector=, not both"),
        (lambda: Pipeline("p").source("a", value=5), 'value is the name of a plugin or Plugin("name", setting=...)'),
    ],
)
def test_a_mistake_in_a_step_is_named_where_it_is_made(make, problem):
    with pytest.raises(PlanError) as refusal:
        make()
    assert str(refusal.value).startswith("pipeline p: ")
    assert problem in str(refusal.value)


def test_a_coroutine_function_per_record_is_for_map_only():
    async def look_up(value):
        return value

    assert START.map(look_up, max_in_flight=3).steps[-1].max_in_flight == 3
    with pytest.raises(
        PlanError, match="filter calls its function per record and cannot await it; map and map_batches can"
    ):
        START.filter(look_up)


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (Pipeline("p"), 'it is empty; begin with .source("topic")'),
        (START, "nothing takes what source makes; add a .sink(...) after it"),
        (START.window(Tumbling("1d")), "the window has no aggregate; add .aggregate(n=Count()) say"),
        (Pipeline("p").map(len).sink("out"), "it begins with map; a pipeline begins with .source(...)"),
        (WHOLE.map(len), "nothing takes what map makes; add a .sink(...) after it"),
        (START.source("other").sink("out"), "nothing takes what source makes; add a .sink(...) after it"),
        (START.sink("in"), "sink writes to topic in, which it also reads: it would never end"),
        (START.sink("__consumer_offsets"), "topics that begin with __ are written by brokers"),
        (START.sink("no/slash"), "sink: topic name 'no/slash' has a character"),
        (START.sink(""), "the empty string is not allowed as a topic name"),
        (START.sink(5), "5 is no topic name"),
        (Pipeline("p").source("..").sink("out"), "source: topic name cannot be '.' or '..'"),
        (Pipeline("p").source("a", "a").sink("out"), "source names topic a 2 times"),
        (Pipeline("p").source().sink("out"), "source names nothing to read"),
        (
            Pipeline("p").source("a", start="newest").sink("out"),
            "start='newest' is not known; there is earliest, latest",
        ),
        (START.sink("out", partitions=0), "partitions=0 is not a number above 0"),
        (START.sink("out", partitions="four"), "partitions='four' is not a number above 0"),
        (
            START.sink("out", configs={"retention.ms": -1}),
            "configs={'retention.ms': -1} is not a mapping of names to text",
        ),
        (START.sink("out", value="jsn"), "sink: plugin serializer 'jsn': nobody registered it; did you mean json?"),
        (START.sink("out", key="avro"), "sink: schema=None is not valid: serializer avro needs a value for it"),
        (
            START.sink("out", value=Plugin("avro", schema="missing.avsc")),
            "schema='missing.avsc' is not valid: a path to an Avro schema that can be read",
        ),
        (
            START.sink("out", value=Plugin("json", sort_key=True)),
            "serializer json has no such setting; did you mean sort",
        ),
        (START.sink("out", partitioner="murmur"), "partitioner 'murmur': nobody registered it; did you mean murmur2?"),
        (START.sink("out", partitioner=Plugin("sticky", records=0)), "records=0 is not valid"),
        (
            Pipeline("p").source(connector="file", path="x").sink("out"),
            "source: plugin connector 'file': nobody registered it; did you mean files?",
        ),
        (START.sink(connector=memory_source(Batch(keys=[], values=[], timestamps=[]))), "memory cannot be a sink"),
        (START.map(len, name="a").map(len, name="a").sink("out"), "2 steps are called a; give each its own name="),
        (START.map(len, name="a/b").sink("out"), "the step name 'a/b' is not made of"),
        (Pipeline("my pipeline").source("in").sink("out"), "its name 'my pipeline' is not made of"),
        (Pipeline("").source("in").sink("out"), "its name '' is not made of"),
        ("p", "it is of type str, not a Pipeline"),
    ],
)
def test_a_mistake_in_a_plan_is_named_before_anything_starts(catalog, plan, problem):
    with pytest.raises(PlanError) as refusal:
        check([plan], catalog)
    assert problem in str(refusal.value)


def test_all_mistakes_are_named_at_once(catalog):
    plan = Pipeline("p").source("in", value="jsn").map(len)
    with pytest.raises(PlanError) as refusal:
        check([plan], catalog)
    assert len(refusal.value.problems) == 2
    assert str(refusal.value).startswith("pipeline p has 2 mistakes:\n  - ")


def test_streams_of_one_name_are_one_pipeline(catalog):
    common = Pipeline("p").source("in")
    graphs = check(
        [common.map(len).sink("a"), Pipeline("q").source("in").sink("b"), common.sink("c", name="c")], catalog
    )
    assert [(graph.name, [step.name for step in graph.steps]) for graph in graphs] == [
        ("p", ["source", "map", "sink", "c"]),
        ("q", ["source", "sink"]),
    ]


def test_two_pipelines_by_accident_of_one_name_are_told_so(catalog):
    with pytest.raises(PlanError, match="if two were meant, their pipelines need names of their own"):
        check([WHOLE, Pipeline("p").source("x").sink("y")], catalog)


def test_secrets_in_options_are_not_shown():
    plan = Pipeline("p").source(connector="db", password="hunter2").sink("out", value=Plugin("x", key="hunter2"))
    assert "hunter2" not in repr(plan.steps)
    assert "hunter2" not in plan.describe()
