"""What Faust's assignor reads from the group protocol, made here because the group protocol is the transport's."""

from __future__ import annotations

import zlib
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata


def member_assignment(app: Any, assignment: ClientAssignment, metadata: ClientMetadata) -> Any:
    """`assignment` as a leader of the group would have sent it to this member."""
    return ConsumerProtocolMemberAssignment(
        app.assignor.version,
        sorted(assignment.kafka_protocol_assignment(app.tables)),
        zlib.compress(metadata.dumps()),
    )
