"""4. Visits of a web site: clicks of one user with less than 30 minutes between them.

Each click tells the visit as it is so far.
"""

from __future__ import annotations

from mainstem import Collect, Count, First, Last, Pipeline, Session, run

visits = (
    Pipeline("visits")
    .source("clicks", value="json", timestamp="at")
    .key_by("user")
    .window(Session("30m"), emit="update")
    .aggregate(clicks=Count(), entered=First("page"), left=Last("page"), pages=Collect("page", limit=20))
    .sink("visits", key="string", value="json")
)

if __name__ == "__main__":
    run(visits)
