"""Microsoft's own client of Azure Key Vault, with a token by the OAuth flow of azure-identity.

Usage: microsoft-client.py URL CA_FILE TENANT CLIENT_ID CLIENT_SECRET; calls come on stdin, see serve.py.
"""

import sys

from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import (
    CryptographyClient,
    EncryptionAlgorithm,
    KeyWrapAlgorithm,
    SignatureAlgorithm,
)
from serve import serve
from signatures import verify_signature

url, ca, tenant, client_id, secret = sys.argv[1:]
credential = ClientSecretCredential(
    tenant,
    client_id,
    secret,
    authority=url,
    disable_instance_discovery=True,
    connection_verify=ca,
)
# The resource of the challenge is no loopback address.
options = {"verify_challenge_resource": False, "connection_verify": ca, "retry_total": 0}
client = KeyClient(url, credential, **options)


def plain(key):
    properties = getattr(key, "properties", key)
    return {
        "id": key.id,
        "name": key.name,
        "version": properties.version,
        "enabled": properties.enabled,
        "type": getattr(key, "key_type", None),
        "operations": getattr(key, "key_operations", None),
        "curve": getattr(getattr(key, "key", None), "crv", None),
    }


def keys(method, arguments):
    """A call of KeyClient; a key, a list of keys, bytes, or nothing."""
    result = getattr(client, method)(**arguments)
    if method.startswith("begin_"):
        result = result.result()
    if method.startswith("list_"):
        return [plain(each) for each in result]
    return plain(result) if hasattr(result, "id") else result


METHODS = {
    "encrypt": (EncryptionAlgorithm, "ciphertext"),
    "decrypt": (EncryptionAlgorithm, "plaintext"),
    "wrap_key": (KeyWrapAlgorithm, "encrypted_key"),
    "unwrap_key": (KeyWrapAlgorithm, "key"),
    "sign": (SignatureAlgorithm, "signature"),
    "verify": (SignatureAlgorithm, "is_valid"),
}


def compute(key_id, method, algorithm, arguments):
    """A call of a CryptographyClient of its own. It reads the key and, if it may, computes with public keys itself."""
    Algorithm, field = METHODS[method]
    client = CryptographyClient(key_id, credential, **options)
    result = getattr(client, method)(Algorithm(algorithm), **arguments)
    return {"key_id": result.key_id, "value": getattr(result, field)}


def take_apart(ciphertext):
    """The fields of our ciphertexts, as the README of crypto-azure-kv documents them."""
    end = 6 + ciphertext[5]
    return {
        "magic": ciphertext[:4].decode(),
        "algorithm": ciphertext[4],
        "version": ciphertext[6:end].decode(),
        "encrypted": ciphertext[end:],
    }


def put_together(version, encrypted):
    """What our provider shall open, by the same table."""
    return b"LAK1" + bytes([1, len(version)]) + version.encode() + encrypted


serve(
    {
        "keys": keys,
        "compute": compute,
        "take_apart": take_apart,
        "put_together": put_together,
        "verify": verify_signature,
    }
)
