"""TLS for clients: the context a session connects with, and what went wrong in words that name the setting.

Used by both clients behind `foa.bus.port`. TLS 1.2 at least; the broker's name is always checked.
"""

import ssl
from collections.abc import Callable
from typing import Final

from foa.bus.port import Options, Tls
from foa.errors import ConfigError

ALERT: Final = b"\x15\x03"
"""How a TLS record begins with which a server answers what is no TLS."""

PLAIN: Final = "broker.url says mqtts://, but no TLS is spoken there; use mqtt:// or the broker's TLS port"
WANTS_TLS: Final = "TLS is spoken there; begin broker.url with mqtts:// (and name its authority in broker.ca)"

UNSHAKEN: Final = f"the broker ended the TLS handshake; {PLAIN}"

_EXPIRED: Final = 10
_NAMES: Final = frozenset({62, 64})  # the host name, the address, is none of the certificate's
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})


def context(tls: Tls) -> ssl.SSLContext:
    """Return what to connect with; ConfigError names the file that cannot be used."""
    made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.ca:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        _use("broker.ca", tls.ca, lambda: made.load_verify_locations(tls.ca))
    if tls.cert:
        key = tls.key or tls.cert
        names = "broker.cert, broker.key" if tls.key else "broker.cert"
        # An empty password: without one, OpenSSL would ask for it at the terminal.
        _use(names, f"{tls.cert}, {key}", lambda: made.load_cert_chain(tls.cert, key, password=""))
    return made


def serving(cert: str, key: str, ca: str = "") -> ssl.SSLContext:
    """Return what a broker serves with; with `ca` it takes, and never asks for, certificates of clients."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    _use("--cert, --key", f"{cert}, {key}", lambda: made.load_cert_chain(cert, key, password=""))
    if ca:
        _use("--ca", ca, lambda: made.load_verify_locations(ca))
        made.verify_mode = ssl.CERT_OPTIONAL
    return made


def _use(name: str, path: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        why = "do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "is no PEM of what it should hold"
        raise ConfigError(f"{name} = {path}: {why} ({error.reason or error})") from None
    except OSError as error:
        raise ConfigError(f"{name} = {path}: cannot be read: {error.strerror or error}") from None


def words(error: OSError, options: Options) -> str | None:
    """Return why a TLS connection could not be made, with its mend; None if `error` is about something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _mistrust(error, options)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return UNSHAKEN
    if isinstance(error, ssl.SSLError):
        return _alert(error)
    return None


def silent(options: Options) -> str:
    """Say that the broker closed a connection before it answered anything."""
    if options.tls is None:
        return "the broker closed the connection before it answered; if it wants TLS, begin broker.url with mqtts://"
    if options.tls.cert:
        return "the broker closed the connection after the TLS handshake: it does not take our certificate, broker.cert"
    return "the broker closed the connection after the TLS handshake; does it want a certificate (broker.cert)?"


def permanent(error: OSError) -> bool:
    """Tell whether trying again is of no use until somebody mends a file."""
    return isinstance(error, ssl.SSLCertVerificationError)


def _mistrust(error: ssl.SSLCertVerificationError, options: Options) -> str:
    said = error.verify_message or "it cannot be verified"
    place = f"the certificate of {options.host}:{options.port}"
    if error.verify_code in _NAMES:
        return f"{place} is for another host ({said}); use a name it holds in broker.url, or make one for this name"
    if error.verify_code == _EXPIRED:
        return f"{place} has expired; make a new one ('foa broker renew'), broker.ca need not change"
    ca = options.tls.ca if options.tls is not None else ""
    return f"{place} is of no authority in broker.ca = {ca or 'the system'} ({said}); name the right file in broker.ca"


def _alert(error: ssl.SSLError) -> str:
    reason = (error.reason or str(error)).upper()
    if reason in _NO_TLS:
        return PLAIN
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return "the broker wants a certificate of ours: set broker.cert and broker.key"
    if any(word in reason for word in ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED")):
        return f"the broker does not take our certificate, broker.cert ({reason.lower().replace('_', ' ')})"
    if "PROTOCOL" in reason:
        return "the broker speaks no TLS from 1.2 on; update it, or its configuration"
    return f"TLS failed: {reason.lower().replace('_', ' ')}"
