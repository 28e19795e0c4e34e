"""Send the pairing's requests to the office over HTTPS. Every failure is a `PairingError` with the next step."""

import http.client
import ssl
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import msgspec

from gated import wording
from gated.bounded import TooLongError, TooSlowError, ending, read_rest
from gated.errors import PairingError
from gated.protocol.pairing_code import (
    MAX_PAIRING_BYTES,
    Admission,
    Application,
    CodeQuestion,
    PairingCode,
    PairingRefusal,
    StillGood,
    der_of,
    fingerprint_of,
    refusal_text,
)
from gated.wording import UNDECODABLE

TIMEOUT_S, WHOLE_S = 15.0, 60.0
"""Longest silence of the office, and longest time for one whole answer, in seconds. The second limit stops an answer
that arrives byte by byte.
"""
CLOCK = {9: "not yet", 10: "no longer"}
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h)."""
NAMES = {62, 64}
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH (openssl/x509_vfy.h)."""


class RetiredError(PairingError):
    """Raised when the office has retired the gate's keys."""


def fetch_authority(code: PairingCode) -> bytes:
    """Return the certificate of the office's authority, in DER. The fingerprint in the code proves it.

    Raises `PairingError` if the office does not answer or the fingerprint differs.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the fingerprint is checked below
    status, body = _request(code, context, "GET", "/ca.pem")
    der = der_of(body.decode("ascii", "replace").strip()) if status == http.HTTPStatus.OK else b""
    if fingerprint_of(der) != code.fingerprint:
        raise PairingError(
            "the certificate of the server there is not the one in the code: another machine answers, or the office "
            "was created again; check the address, then ask the office for a new code"
        )
    return der


def prove_code(code: PairingCode, site: str) -> bool:
    """Return whether the office answers and still accepts the code. Does not use up the code.

    False means that the office is too old for this question. Raises `PairingError` if the pairing would fail.
    """
    question = CodeQuestion(site=site, gate=code.gate, secret=code.secret.hex())
    ca = fetch_authority(code)
    status, body = _request(code, _trusting(ca), "POST", "/code", msgspec.json.encode(question))
    if status == http.HTTPStatus.NOT_FOUND:
        return False
    try:
        answer: Any = msgspec.json.decode(body, type=StillGood | PairingRefusal)
    except UNDECODABLE as error:
        why = wording.cause(error, StillGood | PairingRefusal)
        raise PairingError(f"what answers at {code.host}:{code.port} is no office of this kind: {why}") from error
    if isinstance(answer, PairingRefusal):
        raise PairingError(refusal_text(answer))
    return True


def ask(code: PairingCode, ca: bytes, application: Application) -> Admission:
    """Return the office's answer to an application, over a connection that proves the office.

    Raises `RetiredError` if the gate's keys are retired, and `PairingError` for every other failure.
    """
    _, body = _request(code, _trusting(ca), "POST", "/pair", msgspec.json.encode(application))
    try:
        answer: Any = msgspec.json.decode(body, type=Admission | PairingRefusal)
    except UNDECODABLE as error:
        why = wording.cause(error, Admission | PairingRefusal)
        raise PairingError(f"what answers at {code.host}:{code.port} is no office of this kind: {why}") from error
    if isinstance(answer, PairingRefusal) and answer.why == "retired":
        raise RetiredError(refusal_text(answer))
    if isinstance(answer, PairingRefusal):
        raise PairingError(refusal_text(answer))
    return answer  # type: ignore[no-any-return]


def _trusting(ca: bytes) -> ssl.SSLContext:
    """Return a TLS context that trusts only this authority (DER)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca)
    return context


def _request(
    code: PairingCode, context: ssl.SSLContext, method: str, path: str, body: bytes = b""
) -> tuple[int, bytes]:
    office = f"{code.host}:{code.port}"
    ending(context, WHOLE_S, TIMEOUT_S)
    connection = http.client.HTTPSConnection(code.host.strip("[]"), code.port, timeout=TIMEOUT_S, context=context)
    with closing(connection):
        try:
            connection.request(method, path, body or None)
            response = connection.getresponse()
            return response.status, read_rest(response, MAX_PAIRING_BYTES)
        except ssl.SSLCertVerificationError as error:
            raise _distrust(office, error) from error
        except (http.client.HTTPException, ssl.SSLError) as error:
            raise PairingError(f"the server at {office} is no office ({error}); ask for the right code") from error
        except (TooLongError, TooSlowError) as error:
            why = f"the server at {office} is no office ({error.strerror})"
            raise PairingError(f"{why}; ask for the right code") from error
        except OSError as error:
            advice = "check that `gated office serve` runs there, and that this gate has a network"
            raise PairingError(f"nobody answers at {office} ({error.strerror or error}); {advice}") from error


def _distrust(office: str, error: ssl.SSLCertVerificationError) -> PairingError:
    if error.verify_code in CLOCK:
        clock = f"this gate's clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        return PairingError(
            f"the office's certificate is {CLOCK[error.verify_code]} valid, and {clock}; if the clock is wrong, set it "
            "(`timedatectl`), and use the same code again; if it is right, the office needs new certificates"
        )
    if error.verify_code in NAMES:
        advice = "at the office, add this address with `gated office host`"
        return PairingError(f"the office's certificate is not for {office}; {advice}")
    return PairingError(
        f"this gate does not trust the certificate of {office} ({error.verify_message}); ask the office for a new code"
    )
