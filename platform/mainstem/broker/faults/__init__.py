"""Faults on demand, for people who test their programs against this broker: errors, delays, lost connections, moves, rebalances.

Nothing of this room is on a request's way while no rule exists: the injector takes the place of the handlers with the first rule
and leaves it with the last.
"""
