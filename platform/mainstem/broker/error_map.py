"""The one place where an exception becomes an error code."""

from __future__ import annotations

from mainstem.model.errors import ConfigError, ErrorCode, FencedError, PluginError, RequestError, StorageError


def error_code_of(error: BaseException) -> ErrorCode:
    match error:
        case RequestError(code=code):
            return code
        case StorageError():
            return ErrorCode.KAFKA_STORAGE_ERROR
        case FencedError():
            return ErrorCode.NOT_CONTROLLER
        case ConfigError():
            return ErrorCode.INVALID_CONFIG
        case PluginError():
            return ErrorCode.BROKER_NOT_AVAILABLE
        case TimeoutError():
            return ErrorCode.REQUEST_TIMED_OUT
        case _:
            return ErrorCode.UNKNOWN_SERVER_ERROR
