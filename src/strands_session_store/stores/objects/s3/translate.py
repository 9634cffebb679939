"""The only place where boto's errors become ours; and which of them are worth another try.

A put that was not answered, or answered with a 500, may have taken place. One that was refused by name (SlowDown,
AccessDenied, ...) has not.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any, Final

from botocore import exceptions, parsers
from botocore.exceptions import BotoCoreError, ClientError

from ....errors import InDoubt, StoreError, Unavailable

FAILURES: Final = (ClientError, BotoCoreError, parsers.ResponseParserError)
"""All that boto raises because of a request."""

_PASSING: Final = {
    "SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests",
    "TooManyRequestsException", "BandwidthLimitExceeded", "RequestTimeout", "RequestTimeoutException",
    "ConditionalRequestConflict", "OperationAborted", "429",
}  # fmt: skip
_CREDENTIALS: Final = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"}
_EXPIRED: Final = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_ELSEWHERE: Final = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"}
_UNSENT: Final = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ProxyConnectionError,
)
_CUT: Final = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.IncompleteReadError,
    parsers.ResponseParserError,
)
_SHY: Final = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
)


class Verdict(enum.Enum):
    """What an error says of the request."""

    PASSING = enum.auto()
    """Not done; may be when asked again."""
    UNKNOWN = enum.auto()
    """It may have been done."""
    REFUSED = enum.auto()
    """Its condition did not hold, or the object is not there."""
    FINAL = enum.auto()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request was about, for the error."""

    action: str
    """The permission that it needs."""
    bucket: str
    key: str = ""
    endpoint: str = "S3"

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def judge(error: Exception) -> Verdict:
    if not isinstance(error, ClientError):
        if isinstance(error, _UNSENT):
            return Verdict.PASSING
        if isinstance(error, _CUT) and not _untrusted(error):
            return Verdict.UNKNOWN
        return Verdict.FINAL
    code, status = _code(error), _status(error)
    if code in _PASSING:
        return Verdict.PASSING
    # a bare 404 may come from anything that is no S3 at all, and must never pass for an absent object
    if code == "NoSuchKey" or status == 412:
        return Verdict.REFUSED
    return Verdict.UNKNOWN if code == "InternalError" or (status >= 500 and status != 501) else Verdict.FINAL


def translate(error: Exception, asked: Asked, *, doubt: bool) -> StoreError:
    """Ours for theirs, to be raised ``from`` it. ``doubt``: the put may have been done, at this attempt or before."""
    # what an environment gives for an endpoint may have credentials in it
    made = re.sub(r"//[^/@\s]*@", "//***@", _told(error, asked))
    if doubt:
        return InDoubt(f"{made}. An attempt got no clear answer, so {asked.where} may have been stored")
    return Unavailable(made) if judge(error) in (Verdict.PASSING, Verdict.UNKNOWN) else StoreError(made)


def _told(error: Exception, asked: Asked) -> str:
    if not isinstance(error, ClientError):
        return _told_of_boto(error, asked)
    code, message = _code(error), str(error.response["Error"].get("Message") or "")[:300]
    if code in _CREDENTIALS:
        return f"S3 refused the credentials ({code}); check the access key, the secret and the session token"
    if code in _EXPIRED:
        return f"the credentials have expired ({code}); renew them, or give a boto_session that renews them itself"
    if code == "NoSuchBucket":
        return f"there is no bucket {asked.bucket!r} at {asked.endpoint}; create it, or correct its name"
    if code in _ELSEWHERE:
        region = error.response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
        return f"the bucket {asked.bucket!r} is in another region; set region_name{f' to {region!r}' if region else ''}"
    if code == "RequestTimeTooSkewed":
        return "S3 refused the request because this machine's clock is wrong by more than 15 minutes; set it"
    if code == "InvalidObjectState":
        return f"{asked.where} was archived and can not be read; restore it, and let no lifecycle rule archive sessions"
    if _status(error) == 403 or code == "AccessDenied":
        made = f"access denied: {asked.action} on {asked.where} is not allowed ({code}: {message})"
        if asked.action == "s3:GetObject":
            made += "; S3 says so of an object that is not there, too, unless s3:ListBucket on the bucket is allowed"
        return made
    return f"S3 refused {asked.action} on {asked.where}: {code}: {message}"


def _told_of_boto(error: Exception, asked: Asked) -> str:
    if isinstance(error, _SHY):
        # what boto says may hold what a credential process printed
        return f"there are no usable AWS credentials ({type(error).__name__}); see boto3's guide to credentials"
    if isinstance(error, exceptions.ReadTimeoutError | exceptions.ConnectTimeoutError):
        return f"{asked.endpoint} did not answer {asked.action} in time"
    if _untrusted(error):
        return f"the certificate of {asked.endpoint} is not trusted; name its authority's file in AWS_CA_BUNDLE"
    if isinstance(error, _UNSENT):
        return f"{asked.endpoint} can not be reached"
    if isinstance(error, _CUT):
        return f"{asked.endpoint} broke off its answer to {asked.action} on {asked.where} ({type(error).__name__})"
    return f"boto3 can not ask for {asked.action} on {asked.where}: {str(error)[:300]}"


def _untrusted(error: Exception) -> bool:
    return isinstance(error, exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))


def _status(error: ClientError) -> int:
    answered: dict[str, Any] = error.response.get("ResponseMetadata", {})
    return int(answered.get("HTTPStatusCode", 0))
