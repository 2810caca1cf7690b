"""`mainstem run script.py [flags]`: run the pipelines of a script, whether it ends with `run(...)` or only defines them."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.app.reloading import is_reloaded, run_reloading
from mainstem.app.run import DEFAULT_LEVEL, EXIT_FAILURE, Process, configure_logs, facts_of, run_with
from mainstem.app.run_options import RunOptions, from_flags, parser
from mainstem.app.telling import log_event
from mainstem.cli.arguments import Parser
from mainstem.cli.scripts import checked, defined, execute
from mainstem.model.errors import MainstemError
from mainstem.telemetry import logs

PROGRAM = "mainstem run SCRIPT"


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(parser(PROGRAM).format_help(), end="")
        return 0 if arguments else 1
    if arguments[0].startswith("-"):
        Parser("run", "").error(f"the script comes first: mainstem run script.py {' '.join(arguments)}")
    try:
        logs.configure(default_level=DEFAULT_LEVEL)  # for what is wrong with the flags themselves
        script, flags = checked(arguments[0]), list(arguments[1:])
        options = from_flags(RunOptions(), PROGRAM, flags)  # before the script does anything
        configure_logs(options)
        if options.reload and not is_reloaded():
            return run_reloading(script, options.reload_dirs)  # the script may have mistakes now and later
        Process.has_run = False
        found = execute(script, flags)
        if not Process.has_run:
            run_with(options, defined(script, found))
    except MainstemError as error:
        if not logs.is_json():
            raise
        log_event("run.failed", is_failure=True, **facts_of(error))
        return EXIT_FAILURE
    return 0
