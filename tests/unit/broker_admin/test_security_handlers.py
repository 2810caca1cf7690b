"""ACLs, quotas, credentials, tokens and SASL: refused as Apache Kafka refuses them where there is no security."""

from __future__ import annotations

from types import ModuleType

import pytest
from admin_kit import node

from mainstem.broker.handlers import (
    alter_client_quotas,
    alter_user_scram_credentials,
    create_acls,
    create_delegation_token,
    delete_acls,
    describe_acls,
    describe_client_quotas,
    describe_delegation_token,
    describe_user_scram_credentials,
    expire_delegation_token,
    renew_delegation_token,
    sasl_authenticate,
    sasl_handshake,
)
from mainstem.broker.routes import ROUTES
from mainstem.model.errors import ErrorCode
from mainstem.wire import codec
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    EntityData,
    OpData,
    RequestEntryData,
)
from mainstem.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from mainstem.wire.messages.create_acls import AclCreation, CreateAclsRequest
from mainstem.wire.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from mainstem.wire.messages.describe_acls import DescribeAclsRequest
from mainstem.wire.messages.describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from mainstem.wire.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest, UserName

EXACT, DEFAULT, SPECIFIED = 0, 1, 2


def versions(module: ModuleType) -> range:
    route = ROUTES[ApiKey[module.__name__.rpartition(".")[2].upper()]]
    return range(route.first_version, route.last_version + 1)


async def test_rules_need_an_authorizer() -> None:
    broker = await node()
    disabled = ErrorCode.SECURITY_DISABLED
    for version in versions(describe_acls):
        described = await broker.ask(describe_acls, version, DescribeAclsRequest())
        assert (described.error_code, described.resources) == (disabled, [])
        created = await broker.ask(create_acls, version, CreateAclsRequest(creations=[AclCreation()] * 2))
        assert [each.error_code for each in created.results] == [disabled] * 2
        deleted = await broker.ask(delete_acls, version, DeleteAclsRequest(filters=[DeleteAclsFilter()] * 2))
        assert [each.error_code for each in deleted.filter_results] == [disabled] * 2


@pytest.mark.parametrize(
    ("module", "error"),
    [
        (create_delegation_token, ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED),
        (renew_delegation_token, ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED),
        (expire_delegation_token, ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED),
        (describe_delegation_token, ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED),
        (sasl_handshake, ErrorCode.ILLEGAL_SASL_STATE),
        (sasl_authenticate, ErrorCode.ILLEGAL_SASL_STATE),
    ],
)
async def test_what_needs_sasl_is_refused_in_the_clear(module: ModuleType, error: ErrorCode) -> None:
    broker = await node()
    schema = codec.request_schema(ApiKey[module.__name__.rpartition(".")[2].upper()])
    for version in versions(module):
        assert (await broker.ask(module, version, schema.message())).error_code == error


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("components", "error"),
    [
        ([], ErrorCode.NONE),
        ([("user", EXACT, "a")], ErrorCode.NONE),
        ([("user", SPECIFIED, None), ("client-id", DEFAULT, None)], ErrorCode.NONE),
        ([("planet", EXACT, "a")], ErrorCode.UNSUPPORTED_VERSION),
        ([("", EXACT, "a")], ErrorCode.INVALID_REQUEST),
        ([("user", EXACT, None)], ErrorCode.INVALID_REQUEST),
        ([("user", DEFAULT, "a")], ErrorCode.INVALID_REQUEST),
        ([("user", 9, None)], ErrorCode.INVALID_REQUEST),
        ([("user", SPECIFIED, None)] * 2, ErrorCode.INVALID_REQUEST),
        ([("user", SPECIFIED, None), ("ip", SPECIFIED, None)], ErrorCode.INVALID_REQUEST),
    ],
)
async def test_no_filter_finds_a_quota(
    version: int, components: list[tuple[str, int, str | None]], error: ErrorCode
) -> None:
    broker = await node()
    wanted = [ComponentData(entity_type=kind, match_type=how, match=name) for kind, how, name in components]
    response = await broker.ask(describe_client_quotas, version, DescribeClientQuotasRequest(components=wanted))
    assert response.error_code == error
    assert response.entries == ([] if error is ErrorCode.NONE else None)
    assert bool(response.error_message) == (error is not ErrorCode.NONE)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("types", "key", "remove", "error"),
    [
        (["user"], "producer_byte_rate", True, ErrorCode.NONE),
        (["user"], "producer_byte_rate", False, ErrorCode.POLICY_VIOLATION),
        (["user", "client-id"], "request_percentage", False, ErrorCode.POLICY_VIOLATION),
        (["ip"], "connection_creation_rate", False, ErrorCode.POLICY_VIOLATION),
        (["ip"], "producer_byte_rate", True, ErrorCode.INVALID_REQUEST),
        (["user"], "nonsense", True, ErrorCode.INVALID_REQUEST),
        (["planet"], "producer_byte_rate", True, ErrorCode.INVALID_REQUEST),
        (["user", "user"], "producer_byte_rate", True, ErrorCode.INVALID_REQUEST),
        (["user", "ip"], "producer_byte_rate", True, ErrorCode.INVALID_REQUEST),
        ([], "producer_byte_rate", True, ErrorCode.INVALID_REQUEST),
    ],
)
async def test_a_quota_that_nobody_would_obey_is_not_set(
    version: int, types: list[str], key: str, remove: bool, error: ErrorCode
) -> None:
    broker = await node()
    entry = RequestEntryData(
        entity=[EntityData(entity_type=kind, entity_name="a") for kind in types],
        ops=[OpData(key=key, value=1.0, remove=remove)],
    )
    response = await broker.ask(alter_client_quotas, version, AlterClientQuotasRequest(entries=[entry]))
    (answer,) = response.entries
    assert answer.error_code == error
    assert [each.entity_type for each in answer.entity] == types


async def test_no_user_has_credentials() -> None:
    broker = await node()

    async def describe(*names: str) -> dict[str, int]:
        users = [UserName(name=name) for name in names]
        request = DescribeUserScramCredentialsRequest(users=users or None)
        response = await broker.ask(describe_user_scram_credentials, 0, request)
        assert response.error_code == 0
        return {each.user: each.error_code for each in response.results}

    assert await describe() == {}
    assert await describe("a", "b", "a") == {"a": ErrorCode.DUPLICATE_RESOURCE, "b": ErrorCode.RESOURCE_NOT_FOUND}


async def test_no_credentials_can_be_set() -> None:
    broker = await node()
    request = AlterUserScramCredentialsRequest(
        deletions=[ScramCredentialDeletion(name="a", mechanism=1), ScramCredentialDeletion(name="c", mechanism=1)],
        upsertions=[ScramCredentialUpsertion(name="b", mechanism=1), ScramCredentialUpsertion(name="c", mechanism=1)],
    )
    response = await broker.ask(alter_user_scram_credentials, 0, request)
    assert {each.user: each.error_code for each in response.results} == {
        "a": ErrorCode.RESOURCE_NOT_FOUND,
        "b": ErrorCode.UNSUPPORTED_SASL_MECHANISM,
        "c": ErrorCode.DUPLICATE_RESOURCE,
    }
