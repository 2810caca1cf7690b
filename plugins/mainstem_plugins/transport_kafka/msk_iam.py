"""Tokens for Amazon MSK with IAM: `sasl.oauthbearer.token.provider=mainstem_plugins.transport_kafka.msk_iam:token`.

Needs the extra `mainstem[msk]`. The region is that of the AWS configuration (`AWS_REGION`, `AWS_DEFAULT_REGION`); credentials
are found as every AWS tool finds them.
"""

from __future__ import annotations

import os

from mainstem.model.errors import ConfigError
from mainstem_plugins.transport_kafka.tokens import SETTING, Token


def token() -> Token:
    """Raises: ConfigError without the extra or a region; whatever AWS's library raises without credentials."""
    try:
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    except ImportError as error:
        raise ConfigError(SETTING, "msk_iam", "it needs an extra: pip install 'mainstem[msk]'") from error
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ConfigError("AWS_REGION", "", "the region of the cluster is needed")
    text, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
    return Token(value=text, expires_at_s=expires_ms / 1000)
