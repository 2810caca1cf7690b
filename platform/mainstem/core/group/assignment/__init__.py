"""Server-side assignors of KIP-848, as pure functions: who should own which partition, given who owns it now."""

from mainstem.core.group.assignment import range_assignor, uniform_assignor
from mainstem.core.group.assignment.specification import Assignment, Assignor, SubscribedMember

ASSIGNORS: dict[str, Assignor] = {"uniform": uniform_assignor.assign, "range": range_assignor.assign}

__all__ = ["ASSIGNORS", "Assignment", "Assignor", "SubscribedMember"]
