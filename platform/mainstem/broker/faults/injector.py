"""Takes the place of all handlers while there are rules: decides, lets requests through in whole or in part, changes answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import msgspec

from mainstem.broker.context import RequestContext
from mainstem.broker.dispatch import Dispatcher
from mainstem.broker.faults.line import HeldLine
from mainstem.broker.faults.places import COORDINATED, SHAPES
from mainstem.broker.faults.refusals import Split, Splitter, Wanted, overlay, stamp
from mainstem.broker.faults.registry import Faults, Rule
from mainstem.broker.faults.rules import API_NAMES
from mainstem.broker.reply import ReplySlot
from mainstem.broker.route import AnswerLine
from mainstem.broker.services import Services
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.codec import decode, encode, encode_response, request_schema, response_schema, skip_tags
from mainstem.wire.compile import MalformedMessage
from mainstem.wire.hot_produce import OLDEST_SERVED
from mainstem.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from mainstem.wire.schema import Message

REASON = "a fault that was asked for"
SESSION_ERRORS = (
    ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    ErrorCode.INVALID_FETCH_SESSION_EPOCH,
    ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
)
_REBALANCES = {
    ApiKey.HEARTBEAT: ErrorCode.REBALANCE_IN_PROGRESS,
    ApiKey.CONSUMER_GROUP_HEARTBEAT: ErrorCode.FENCED_MEMBER_EPOCH,
}
"""What makes a member join again."""


class Request(NamedTuple):
    """A request on its way: `frame` from its header on, `body` where the request itself begins."""

    api: ApiKey
    context: RequestContext
    frame: memoryview
    body: int
    correlation_id: int


class Refusal(NamedTuple):
    """An error that some rule wants: for the part that `split` says, or stamped all over the real answer (None)."""

    error: ErrorCode
    split: Split | None
    is_late: bool


class Plan:
    """What all rules together do to one request."""

    def __init__(self) -> None:
        self.is_cut = False
        self.is_cut_late = False
        self.delay_s = 0.0
        self.delay_late_s = 0.0
        self.refusal: Refusal | None = None
        self.is_any = False


class FaultInjector:
    """One per broker, on its loop. `follow` is to be called when rules came or went: it exchanges the dispatcher's table."""

    def __init__(self, dispatcher: Dispatcher, services: Services, faults: Faults) -> None:
        self._dispatcher = dispatcher
        self._services = services
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()

    def follow(self) -> None:
        self._dispatcher.intercept(self.handle_frame if self._faults.rules else None)

    def close(self) -> None:
        """No rule is obeyed any more; what is delayed stays unanswered."""
        self._dispatcher.intercept(None)
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # ------------------------------------------------------------------------------------------------------------ a request

    def handle_frame(
        self,
        line: AnswerLine,
        context: RequestContext,
        services: Services,
        frame: memoryview,
        body: int,
        correlation_id: int,
    ) -> None:
        """Raises: MalformedMessage."""
        request = Request(ApiKey(int.from_bytes(frame[:2], "big")), context, frame, body, correlation_id)
        # Produce requests that are older are refused, whatever they say.
        is_old = request.api is ApiKey.PRODUCE and context.api_version < OLDEST_SERVED
        plan = Plan() if is_old else self._plan(request)
        if plan.is_cut:
            line.abort(REASON)
        elif not plan.is_any:
            # Held all the same, so that no lane answers the next request past the rules.
            self._let_through(line, request, plan)
        elif plan.delay_s:
            line.hold()
            # The connection's buffer is used again before the time is up; appending writes offsets into what it appends.
            kept = request._replace(frame=memoryview(bytearray(frame)))
            self._later(plan.delay_s, lambda: self._resume(line, kept, plan))
        else:
            self._let_through(line, request, plan)

    def _resume(self, line: AnswerLine, request: Request, plan: Plan) -> None:
        try:
            self._let_through(line, request, plan)
        except MalformedMessage as error:
            line.abort(f"malformed request: {error}")
        finally:
            line.release()

    def _let_through(self, line: AnswerLine, request: Request, plan: Plan) -> None:
        slot = line.defer()
        refusal = plan.refusal
        if (
            refusal is not None
            and refusal.split is not None
            and not refusal.is_late
            and request.api is not ApiKey.FETCH
        ):
            if refusal.split.rest is None:
                self._answer(line, slot, request, plan, refusal.split.refused)
                return
            request = _reframed(request, refusal.split.rest)
        elif refusal is not None and request.api is ApiKey.FETCH:
            request = self._at_once(request)
        held = HeldLine(line, lambda reply: self._taken(line, slot, request, plan, reply))
        slot.on_closed = held.closed
        self._dispatcher.run(held, request.api, request.context, request.frame, request.body, request.correlation_id)
        held.handled()

    def _at_once(self, request: Request) -> Request:
        """A Fetch that does not wait for records: its error is to be told now."""
        fetch = self._decoded(request)
        assert isinstance(fetch, FetchRequest), fetch
        return _reframed(request, msgspec.structs.replace(fetch, max_wait_ms=0))

    def _taken(self, line: AnswerLine, slot: ReplySlot, request: Request, plan: Plan, reply: bytes) -> None:
        """The handler has answered."""
        refusal = plan.refusal
        if refusal is not None and not reply:
            # As in `_answer`: a producer with acks=0.
            slot.complete(())
            line.abort(REASON)
            return
        if refusal is None:
            self._leave(line, slot, plan, reply)
            return
        answer = self._decoded_reply(request, reply)
        if refusal.split is None:
            answer = stamp(answer, refusal.error)
        elif request.api is ApiKey.FETCH:
            answer = _fetch_with(answer, refusal)
        elif refusal.split.rest is None:
            answer = refusal.split.refused
        else:
            answer = overlay(request.api, answer, refusal.split.refused)
        self._answer(line, slot, request, plan, answer)

    def _answer(self, line: AnswerLine, slot: ReplySlot, request: Request, plan: Plan, answer: Message) -> None:
        if request.api is ApiKey.PRODUCE and getattr(self._decoded(request), "acks", None) == 0:
            # A client that asked for no reply learns of a failure by losing its connection, as with Kafka.
            slot.complete(())
            line.abort(REASON)
            return
        reply = encode_response(request.api, request.context.api_version, request.correlation_id, answer)
        self._leave(line, slot, plan, reply)

    def _leave(self, line: AnswerLine, slot: ReplySlot, plan: Plan, reply: bytes) -> None:
        if plan.delay_late_s:
            self._later(plan.delay_late_s, lambda: self._leave_now(line, slot, plan, reply))
        else:
            self._leave_now(line, slot, plan, reply)

    def _leave_now(self, line: AnswerLine, slot: ReplySlot, plan: Plan, reply: bytes) -> None:
        if plan.is_cut_late:
            slot.complete(())
            line.abort(REASON)
        else:
            slot.complete((reply,) if reply else ())

    def _later(self, delay_s: float, call: Any) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = self._loop.call_later(delay_s, run)
        self._timers.add(timer)

    # ------------------------------------------------------------------------------------------------------------ the rules

    def _plan(self, request: Request) -> Plan:
        """Every rule that is for this request decides, in the order they were made; of several errors the first is told."""
        plan = Plan()
        decoded: Message | None = None
        for rule in self._faults.rules:
            fault = rule.fault
            if fault.api is not None and API_NAMES[fault.api] is not request.api:
                continue
            if fault.client_id is not None and fault.client_id != request.context.client_id:
                continue
            split = None
            if (
                fault.topic is not None
                or fault.partition is not None
                or fault.group is not None
                or fault.kind == "error"
            ):
                decoded = decoded or self._decoded(request)
                split = self._split(request, decoded, rule)
                if split is None and (fault.topic, fault.partition, fault.group) != (None, None, None):
                    continue
            self._apply(plan, rule, request, decoded, split)
        return plan

    def _apply(self, plan: Plan, rule: Rule, request: Request, decoded: Message | None, split: Split | None) -> None:
        fault = rule.fault
        match fault.kind:
            case "coordinator-move":
                if request.api is ApiKey.FIND_COORDINATOR:
                    rule.is_moved = False
                elif request.api in COORDINATED and rule.moves():
                    _refuse(plan, ErrorCode.NOT_COORDINATOR, split, is_late=False)
            case "rebalance":
                error = _REBALANCES.get(request.api)
                if error is not None and _has_joined(decoded) and rule.rebalances(getattr(decoded, "member_id", "")):
                    _refuse(plan, error, split, is_late=False)
            case "error" if rule.fires():
                _refuse(plan, fault.code, split, is_late=fault.is_late)
            case "disconnect" if rule.fires():
                plan.is_any = True
                plan.is_cut = plan.is_cut or not fault.is_late
                plan.is_cut_late = plan.is_cut_late or fault.is_late
            case "delay" if rule.fires():
                plan.is_any = True
                if fault.is_late:
                    plan.delay_late_s += rule.delay_s()
                else:
                    plan.delay_s += rule.delay_s()
            case _:
                pass

    def _split(self, request: Request, decoded: Message, rule: Rule) -> Split | None:
        """None if the request has no part that the rule means."""
        if request.api not in SHAPES:
            return None
        fault = rule.fault
        error = fault.code if fault.kind == "error" else _error_of(rule, request.api)
        if request.api is ApiKey.FETCH:
            assert isinstance(decoded, FetchRequest), decoded
            decoded = self._with_session(decoded)
        wanted = Wanted(fault.topic, fault.partition, fault.group)
        split = Splitter(request.api, request.context.api_version, wanted, error, self._name_of).split(decoded)
        return split if split.places else None

    def _with_session(self, request: FetchRequest) -> FetchRequest:
        """With the partitions that the client named in earlier requests of its session."""
        session = next((s for s in self._services.fetch_sessions if s.session_id == request.session_id), None)
        if session is None or request.session_epoch <= 0:
            return request
        named = {(t.topic, t.topic_id, p.partition) for t in request.topics for p in t.partitions}
        topics = list(request.topics)
        for topic, index in session.partitions:
            name, topic_id = ("", topic) if session.uses_topic_ids else (topic.decode(), bytes(16))
            if (name, topic_id, index) not in named:
                topics.append(FetchTopic(topic=name, topic_id=topic_id, partitions=[FetchPartition(partition=index)]))
        return msgspec.structs.replace(request, topics=topics)

    def _name_of(self, topic_id: bytes) -> str | None:
        topic = self._services.metadata.image.topics_by_id.get(topic_id)
        return topic.name if topic is not None else None

    def _decoded(self, request: Request) -> Message:
        return decode(request_schema(request.api), request.context.api_version, request.frame, request.body)

    def _decoded_reply(self, request: Request, reply: bytes) -> Message:
        schema, version = response_schema(request.api), request.context.api_version
        frame = memoryview(reply)
        is_flexible = version >= schema.flexible_from and request.api is not ApiKey.API_VERSIONS
        return decode(schema, version, frame, skip_tags(frame, 8) if is_flexible else 8)


def _refuse(plan: Plan, error: ErrorCode, split: Split | None, *, is_late: bool) -> None:
    plan.is_any = True
    if plan.refusal is None:
        plan.refusal = Refusal(error, split, is_late)


def _error_of(rule: Rule, api: ApiKey) -> ErrorCode:
    if rule.fault.kind == "rebalance":
        return _REBALANCES.get(api, ErrorCode.REBALANCE_IN_PROGRESS)
    return ErrorCode.NOT_COORDINATOR


def _has_joined(heartbeat: Message | None) -> bool:
    """Members of consumer groups join, and leave, with a heartbeat, too."""
    return cast(int, getattr(heartbeat, "member_epoch", 1)) > 0


def _reframed(request: Request, message: Message) -> Request:
    schema, version = request_schema(request.api), request.context.api_version
    frame = bytearray(request.frame[: request.body])
    frame += encode(schema, version, message)
    return request._replace(frame=memoryview(frame))


def _fetch_with(answer: Message, refusal: Refusal) -> Message:
    """Over what the handler has answered, which kept the session in step."""
    split = refusal.split
    assert split is not None, "a Fetch always has a place for an error, or a stamp"
    if refusal.error in SESSION_ERRORS:
        return msgspec.structs.replace(split.refused, error_code=refusal.error, responses=())
    if getattr(answer, "error_code", 0):
        return answer
    refused: Sequence[Message] = getattr(split.refused, "responses", ())
    if not refused:
        return msgspec.structs.replace(answer, error_code=refusal.error)
    return overlay(ApiKey.FETCH, answer, split.refused)
