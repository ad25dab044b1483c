"""Reads one secret out of a vault with nothing of Lango's: docs/formats.md, Python, and `cryptography` for AES-GCM.

Usage: read_vault.py HOME NAME, the passphrase (PBKDF2 slot) on stdin; prints the value.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sqlite3
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def parts(*fields: bytes) -> bytes:
    return struct.pack(">I", len(fields)) + b"".join(struct.pack(">I", len(f)) + f for f in fields)


def hkdf(key: bytes, salt: bytes, info: str, length: int = 32) -> bytes:
    """RFC 5869 with SHA-256; one block is enough here."""
    pseudorandom = hmac.digest(salt, key, "sha256")
    return hmac.digest(pseudorandom, info.encode() + b"\x01", "sha256")[:length]


def open_lng1(data_key: bytes, key_id: bytes, sealed: bytes, aad: bytes) -> bytes:
    head, nonce, body = sealed[:52], sealed[52:64], sealed[64:]
    assert head[:8] == b"LNG1\x01\0\0\0", "not LNG1 with AES-256-GCM"
    assert head[8:20] == key_id, "another data key"
    assert head[20:52] == hkdf(data_key, key_id, "lango/v1/commit"), "not committed to this key"
    key = AESGCM(hkdf(data_key, key_id, "lango/v1/value"))
    return key.decrypt(nonce, body, head + struct.pack(">I", len(aad)) + aad)


def vault_key(slots: dict, passphrase: bytes) -> bytes:
    vault_id = bytes.fromhex(slots["vaultId"])
    slot = next(s for s in slots["slots"] if s.get("kdf", {}).get("name") == "pbkdf2-sha256")
    kdf, slot_id = slot["kdf"], bytes.fromhex(slot["id"])
    salt = base64.b64decode(kdf["salt"])
    slot_key = hashlib.pbkdf2_hmac("sha256", passphrase, salt, kdf["iterations"])
    sealed = base64.b64decode(slot.pop("sealed"))
    others = {name: value for name, value in slot.items() if name not in ("id", "kind")}
    jcs = json.dumps(others, sort_keys=True, separators=(",", ":")).encode()
    aad = parts(b"lango/v1/slot", vault_id, slot_id, slot["kind"].encode(), jcs)
    return open_lng1(slot_key, slot_id, sealed, aad)


def main(home: pathlib.Path, name: str, passphrase: bytes) -> bytes:
    slots = json.loads((home / "keyslots.json").read_text())
    vault_id = bytes.fromhex(slots["vaultId"])
    key = vault_key(slots, passphrase)
    wrap = hkdf(key, vault_id, "lango/v1/wrap")
    wrap_id = hkdf(key, vault_id, "lango/v1/wrap-id", 12)

    database = sqlite3.connect(home / "lango.db")
    version, sealed, data_key_id, wrapped = database.execute(
        """select version, sealed, data_key_id, wrapped from secrets s
           join secret_versions v on v.secret_id = s.id and v.version = s.current_version
           join data_keys d on d.id = v.data_key_id
           where collection = 'secrets' and name = ?""",
        [name],
    ).fetchone()
    key_id = bytes.fromhex(data_key_id)
    data_key = open_lng1(wrap, wrap_id, wrapped, parts(b"lango/v1/datakey", vault_id, key_id))
    record = [b"lango/v1/record", vault_id, b"secrets", name.encode(), b"value"]
    return open_lng1(data_key, key_id, sealed, parts(*record, struct.pack(">Q", version)))


if __name__ == "__main__":
    sys.stdout.buffer.write(main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.stdin.buffer.read()))
