"""Signatures as `cryptography` sees them: it shares no line with Node or with Lango."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key


def verify_signature(public_key, scheme, message, signature, form="raw"):
    """Raises unless it is a signature of the message. The key is PEM or DER (SPKI), `form` of ECDSA raw (r, s) or der."""
    load = load_pem_public_key if public_key.startswith(b"-----") else load_der_public_key
    key = load(public_key)
    name = scheme.rsplit("-", 1)[-1].upper()
    if isinstance(key, ed25519.Ed25519PublicKey):
        assert scheme == "ed25519"
        key.verify(signature, message)
        return "Ed25519"
    hash_ = getattr(hashes, name)()
    if isinstance(key, ec.EllipticCurvePublicKey):
        assert scheme.startswith("ecdsa-")
        if form == "raw":
            half = len(signature) // 2
            assert half == (key.curve.key_size + 7) // 8
            r, s = (int.from_bytes(part) for part in (signature[:half], signature[half:]))
            signature = encode_dss_signature(r, s)
        key.verify(signature, message, ec.ECDSA(hash_))
        return key.curve.name
    assert isinstance(key, rsa.RSAPublicKey)
    if scheme.startswith("rsa-pss-"):
        how = padding.PSS(mgf=padding.MGF1(hash_), salt_length=hash_.digest_size)
    else:
        assert scheme.startswith("rsa-pkcs1-")
        how = padding.PKCS1v15()
    key.verify(signature, message, how, hash_)
    return f"RSA-{key.key_size}"
