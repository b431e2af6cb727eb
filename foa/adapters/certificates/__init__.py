"""Certificates of a small federation: an authority of its own, what it signs, and what a certificate says.

``foa broker init`` makes them, ``foa doctor`` and tests read them. Keys are P-256, written as plain PKCS 8: who may
read the file has the key. A certificate holds from
five minutes before it is made, for clocks that lag.
"""

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from foa.errors import ConfigError

_NAME: Final = re.compile(r"(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\Z")
LAG: Final = timedelta(minutes=5)


class Pair(NamedTuple):
    """A certificate and its private key, both PEM."""

    cert: bytes
    key: bytes


class Term(NamedTuple):
    """How long a certificate holds."""

    now: datetime
    days: int


def authority(name: str, term: Term) -> Pair:
    """Return a new authority called `name`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    builder = _begun(subject, subject, key, term).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    usage = _usage(signs_certificates=True)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return _signed(builder.add_extension(usage, True).add_extension(identifier, False), key, key)


def issue(signer: Pair, name: str, hosts: Sequence[str], term: Term) -> Pair:
    """Return a certificate of `signer`: for a server at `hosts` (names and addresses), for a client without any.

    `name` is its common name; a client's is its account. Raises ConfigError if `signer` is no authority.
    """
    try:
        issuer = x509.load_pem_x509_certificate(signer.cert)
        signing = serialization.load_pem_private_key(signer.key, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the authority's certificate or key is no PEM: {error}") from None
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise ConfigError("the authority's key is none of the kind that 'foa broker init' makes")
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _begun(_named(name), issuer.subject, key, term)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(_usage(signs_certificates=False), True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), False)
    return _signed(builder, key, signing)


def check_hosts(hosts: Sequence[str]) -> None:
    """Raise ConfigError if one of `hosts` cannot be in a certificate."""
    for each in hosts:
        _host(each)


def days_left(certificate: bytes, now: datetime) -> float:
    """Return how many days a certificate (DER) holds from `now` on; below zero once it expired."""
    return (x509.load_der_x509_certificate(certificate).not_valid_after_utc - now).total_seconds() / 86_400


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if _NAME.match(text) is None:
        raise ConfigError(f"host {text!r}: must be a plain ASCII name or an address")
    return x509.DNSName(text)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, term: Term
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(term.now - LAG)
        .not_valid_after(term.now + timedelta(days=term.days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signing: ec.EllipticCurvePrivateKey
) -> Pair:
    made = builder.sign(signing, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(made.public_bytes(pem), private)
