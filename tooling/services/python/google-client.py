"""Google's own client of Cloud KMS, and Tink's on top of it, for a server without TLS on this machine.

Usage: google-client.py grpc HOST:PORT | google-client.py rest http://HOST:PORT; calls come on stdin, see serve.py.
"""

import sys

import google_crc32c
import grpc
import tink.signature
from google.auth.credentials import AnonymousCredentials
from google.cloud import kms
from serve import serve
from signatures import verify_signature
from tink.integration import gcpkms

transport, address = sys.argv[1:]
Transport = kms.KeyManagementServiceClient.get_transport_class(transport)
client = kms.KeyManagementServiceClient(
    transport=Transport(channel=grpc.insecure_channel(address))
    if transport == "grpc"
    else Transport(host=address, credentials=AnonymousCredentials())
)


def checksums(message):
    """Names of the fields that have a checksum beside them, with the checksum that google-crc32c computes."""
    names = type(message).meta.fields
    for name in names:
        if f"{name}_crc32c" in names and name in message:
            value = getattr(message, name)
            if isinstance(value, kms.Digest):
                value = next(getattr(value, each) for each in kms.Digest.meta.fields if each in value)
            yield name, google_crc32c.value(value.encode() if isinstance(value, str) else value)


def plain(message):
    fields = type(message).to_dict(message, use_integers_for_enums=False)
    raw = {name: getattr(message, name) for name in fields}
    return {name: raw[name] if isinstance(raw[name], bytes) else fields[name] for name in fields}


def call(method, request, checked=True):
    """A call of the client. `checked` sends every checksum; in the answer each one is compared that is there."""
    name = "".join(part.capitalize() for part in method.split("_"))
    message = getattr(kms, f"{name}Request")(request)
    if checked:
        for field, checksum in list(checksums(message)):
            setattr(message, f"{field}_crc32c", checksum)
    response = getattr(client, method)(message)
    if method.startswith("list_"):
        return [plain(each) for each in response]
    compared = dict(checksums(response))
    for field, checksum in compared.items():
        assert getattr(response, f"{field}_crc32c") == checksum, f"{field} has another checksum"
    return {**plain(response), "compared": list(compared)}


def aead(name):
    return gcpkms.new_client(kms_v1_client=client).get_aead(f"gcp-kms://{name}")


tink.signature.register()
serve(
    {
        "call": call,
        "verify": verify_signature,
        "tink_encrypt": lambda name, plaintext, aad: aead(name).encrypt(plaintext, aad),
        "tink_decrypt": lambda name, ciphertext, aad: aead(name).decrypt(ciphertext, aad),
        "tink_mac": lambda name, data: gcpkms.new_gcp_kms_mac(name, client).compute_mac(data),
        "tink_verify_mac": lambda name, data, mac: gcpkms.new_gcp_kms_mac(
            name, client
        ).verify_mac(mac, data),
        "tink_sign": lambda name, data: gcpkms.new_gcp_kms_public_key_sign(name, client).sign(
            data
        ),
        "tink_verify": lambda name, data, signature: gcpkms.new_gcp_kms_public_key_verify(
            name, client
        ).verify(signature, data),
    }
)
