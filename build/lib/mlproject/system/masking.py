"""Removal of credentials from messages and stored values."""

import os
import re
from functools import partial
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
SHORTEST = 6
SECRETS = (
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN",
    "DATABRICKS_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_CLIENT_SECRET",
    "PGPASSWORD",
)  # fmt: skip
ADDRESSES = (
    "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_S3_ENDPOINT_URL", "HTTP_PROXY",
    "HTTPS_PROXY",
)  # fmt: skip

_SECRET_NAME = (
    r"(?:[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key"
    r"|account[_-]?key|signature|credential|odbc_connect)[\w.-]*|sig|auth|key)"
)
_USER = re.compile(r"([A-Za-z][\w+.-]*://)(?:[^\s/'\"<>?#]*|[^\s/'\"<>@:]*:[^\s'\"<>]*)@")
_QUERY = re.compile(rf"(?i)([?&;]{_SECRET_NAME}=)[^&\s'\"<>#;]+")
_PAIR = re.compile(r"(?i)\b(passw(?:or)?d|pwd|token)(\s*=\s*)[^\s&;,'\"<>]+")
_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")


def mask_addresses(text: str) -> str:
    """Return `text` with ``***`` in place of user names, passwords and tokens in addresses."""
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def mask(text: str) -> str:
    """Return a message without the credentials of addresses and of the environment.

    Use it for messages only: the data of a run may contain the letters of a password by chance.
    """
    for secret in sorted(_known(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = mask_addresses(text)
    text = _PAIR.sub(rf"\1\2{HIDDEN}", text)
    return _HEADER.sub(rf"\1 {HIDDEN}", text)


def without_credentials(uri: str) -> str:
    """Return an address without credentials, for links."""
    return re.sub(rf"(?<=://){re.escape(HIDDEN)}@", "", mask_addresses(uri))


def _known() -> set[str]:
    found = {os.environ.get(name, "") for name in SECRETS}
    for name in ADDRESSES:
        uri = os.environ.get(name, "") or os.environ.get(name.lower(), "")
        _, _, rest = uri.partition("://")
        user = rest.rpartition("@")[0]
        found |= {user, user.partition(":")[2]}
        try:
            query = urlsplit(uri).query
        except ValueError:
            query = rest.partition("?")[2]
        found |= {
            value
            for key, _, value in (part.partition("=") for part in re.split("[&;]", query))
            if re.fullmatch(_SECRET_NAME, key, re.IGNORECASE)
        }
    spelled = {
        way(one)
        for one in found
        if one
        for way in (str, unquote, quote, quote_plus, partial(quote, safe=""))
    }
    return {one for one in spelled if len(one) >= SHORTEST}
