"""`mainstem run script.py [flags]`: run the pipelines of a script, whether it ends with `run(...)` or only defines them."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from mainstem.app.run import Process, run_with
from mainstem.app.run_options import RunOptions, from_flags, parser
from mainstem.cli.arguments import Parser
from mainstem.model.errors import ConfigError
from mainstem.pipeline.plan.pipeline import Pipeline, WindowedPipeline

PROGRAM = "mainstem run SCRIPT"


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(parser(PROGRAM).format_help(), end="")
        return 0 if arguments else 1
    if arguments[0].startswith("-"):
        Parser("run", "").error(f"the script comes first: mainstem run script.py {' '.join(arguments)}")
    script, flags = Path(arguments[0]), list(arguments[1:])
    if not script.is_file():
        raise ConfigError("script", str(script), "there is no such file")
    options = from_flags(RunOptions(), PROGRAM, flags)  # before the script does anything
    sys.argv = [str(script), *flags]
    sys.path.insert(0, str(script.resolve().parent))
    found = runpy.run_path(str(script), run_name="__main__")
    if Process.has_run:
        return 0
    pipelines = [value for value in found.values() if isinstance(value, Pipeline | WindowedPipeline)]
    if not pipelines:
        raise ConfigError("script", str(script), "it neither calls run(pipeline) nor holds a Pipeline in a global name")
    run_with(options, _without_beginnings(pipelines))
    return 0


def _without_beginnings(
    pipelines: list[Pipeline[object] | WindowedPipeline[object]],
) -> list[Pipeline[object] | WindowedPipeline[object]]:
    """Of plans that share a name, the longest: a script may keep the beginning of a plan in a name of its own."""

    def length(pipeline: Pipeline[object] | WindowedPipeline[object]) -> int:
        return len(pipeline.steps) if isinstance(pipeline, Pipeline) else 0

    longest: dict[str, Pipeline[object] | WindowedPipeline[object]] = {}
    for pipeline in pipelines:
        known = longest.get(pipeline.name)
        if known is None or length(pipeline) > length(known):
            longest[pipeline.name] = pipeline
    return list(longest.values())
