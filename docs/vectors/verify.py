#!/usr/bin/env python3
"""A second reader of Lango's byte formats, written from docs/formats.md alone; it shares no code with Lango.

Reads the vectors beside it, derives every key itself, opens what is valid and refuses what is not, with the
error that the format names. Prints run/total per file. Needs `cryptography` (Argon2id since its version 44).

Usage: python3 verify.py [file.json ...]
"""
import base64
import hashlib
import hmac
import json
import math
import pathlib
import re
import struct
import sys
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

try:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
except ImportError:
    Argon2id = None

FOLDER = pathlib.Path(__file__).resolve().parent
SEGMENT = 1 << 16


class Malformed(Exception):
    code = "ERR_MALFORMED_ENVELOPE"


class Failed(Exception):
    code = "ERR_DECRYPTION_FAILED"


class Unknown(Exception):
    code = "ERR_KEY_NOT_FOUND"


class Integrity(Exception):
    code = "ERR_INTEGRITY"


class Newer(Exception):
    code = "ERR_CONFLICT"


REFUSALS = (Malformed, Failed, Unknown, Integrity, Newer)


class LeftOut(Exception):
    """This Python cannot check the vector; the text says why."""


def need(ok, kind, what):
    if not ok:
        raise kind(what)


# --- encodings -----------------------------------------------------------------------------------------------


def parts(*items):
    return struct.pack(">I", len(items)) + b"".join(struct.pack(">I", len(i)) + i for i in items)


def hkdf(key, salt, info, length=32):
    return HKDF(hashes.SHA256(), length, salt, info).derive(key)


def sha256(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def jcs_number(value):
    """ECMAScript's Number::toString, from Python's shortest digits."""
    if isinstance(value, int):
        value = float(value)
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, exponent = f"{abs(value)!r}".lower(), 0
    if "e" in mantissa:
        mantissa, exponent = mantissa.split("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        power = point - 1
        text = digits[0] + ("." + digits[1:] if count > 1 else "") + "e" + ("+" if power > 0 else "-") + str(abs(power))
    return sign + text


def jcs_string(value):
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return '"' + "".join(short.get(ord(c)) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'


def jcs(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return jcs_number(value)
    if isinstance(value, str):
        return jcs_string(value)
    if isinstance(value, list):
        return "[" + ",".join(map(jcs, value)) + "]"
    keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
    return "{" + ",".join(jcs_string(k) + ":" + jcs(value[k]) for k in keys) + "}"


def parse_json(text):
    """JSON without duplicate keys, lone surrogates, infinities, byte order mark, or more than 32 levels."""

    def pairs(items):
        need(len({k for k, _ in items}) == len(items), Malformed, "duplicate key")
        return dict(items)

    def number(text):
        value = float(text)
        need(math.isfinite(value), Malformed, "number too large")
        return value

    def constant(name):
        raise Malformed(name)

    def check(value, level):
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Malformed("lone surrogate") from None
        if isinstance(value, (list, dict)):
            need(level < 32, Malformed, "too deep")
            for item in value.items() if isinstance(value, dict) else value:
                for part in item if isinstance(item, tuple) else (item,):
                    check(part, level + 1)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=number, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    check(value, 0)
    return value


# --- data keys, LNG1, LNGS -----------------------------------------------------------------------------------


class DataKey:
    def __init__(self, material, key_id):
        self.root, self.id = material, key_id
        self.value = hkdf(material, key_id, b"lango/v1/value")
        self.commitment = hkdf(material, key_id, b"lango/v1/commit")
        self.recipients = hkdf(material, key_id, b"lango/v1/recipients")


def gcm_open(key, nonce, ciphertext, aad):
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, aad)
    except InvalidTag:
        raise Failed("tag") from None


def check_value_format(sealed):
    need(80 <= len(sealed) <= 80 + (64 << 20), Malformed, "length")
    need(sealed[:8] == b"LNG1\x01\0\0\0", Malformed, "header")


def seal_value(key, plaintext, aad, nonce):
    head = b"LNG1\x01\0\0\0" + key.id + key.commitment
    bound = head + struct.pack(">I", len(aad)) + aad
    return head + nonce + AESGCM(key.value).encrypt(nonce, plaintext, bound)


def open_value(key, sealed, aad):
    check_value_format(sealed)
    need(hmac.compare_digest(sealed[8:52], key.id + key.commitment), Failed, "commitment")
    bound = sealed[:52] + struct.pack(">I", len(aad)) + aad
    return gcm_open(key.value, sealed[52:64], sealed[64:], bound)


def check_stream_format(sealed):
    need(len(sealed) >= 84 and sealed[:8] == b"LNGS\x01\x10\0\0", Malformed, "header")


def stream_key(key, header, aad):
    digest = sha256(header + struct.pack(">I", len(aad)) + aad)
    return hkdf(key.root, header[52:84], b"lango/v1/stream" + digest)


def segment_nonce(counter, last):
    return counter.to_bytes(11, "big") + bytes([last])


def seal_stream(key, plaintext, aad, salt):
    header = b"LNGS\x01\x10\0\0" + key.id + key.commitment + salt
    cipher = AESGCM(stream_key(key, header, aad))
    starts = range(0, max(len(plaintext), 1), SEGMENT)
    segments = [
        cipher.encrypt(segment_nonce(n, n == len(starts) - 1), plaintext[at : at + SEGMENT], None)
        for n, at in enumerate(starts)
    ]
    return header, segments


def open_stream(key, sealed, aad):
    check_stream_format(sealed)
    header, body = sealed[:84], sealed[84:]
    need(hmac.compare_digest(header[8:52], key.id + key.commitment), Failed, "commitment")
    derived = stream_key(key, header, aad)
    size = SEGMENT + 16
    starts = range(0, max(len(body), 1), size)
    out = b""
    for n, at in enumerate(starts):
        segment = body[at : at + size]
        need(len(segment) > 16 or (len(segment) == 16 and n == 0), Malformed, "segment")
        out += gcm_open(derived, segment_nonce(n, n == len(starts) - 1), segment, None)
    return out


# --- LNGR ----------------------------------------------------------------------------------------------------


def check_uri(uri):
    need(re.fullmatch(r"[a-z][a-z0-9-]{0,63}:.+", uri, re.S), Malformed, "key URI")
    need(len(uri.encode()) <= 2048, Malformed, "key URI too long")
    need(all(unicodedata.category(c) != "Cc" for c in uri), Malformed, "control character")
    names = {part.split("=")[0] for part in re.split("[;?&]", uri.split(":", 1)[1])}
    need(not names & {"module-path", "module-name", "pin-value", "pin-source"}, Malformed, "attribute")


def read_recipients(sealed):
    need(len(sealed) >= 9 and sealed[:4] == b"LNGR", Malformed, "magic")
    count, length = sealed[4], struct.unpack(">I", sealed[5:9])[0]
    need(1 <= count <= 16 and length <= 1 << 16, Malformed, "limits")
    end, at, entries = 9 + length, 9, []
    need(len(sealed) >= end + 32, Malformed, "cut")

    def take(width):
        nonlocal at
        need(at + width <= end, Malformed, "entry")
        size = int.from_bytes(sealed[at : at + width], "big")
        at += width + size
        need(at <= end, Malformed, "entry")
        return sealed[at - size : at]

    for _ in range(count):
        try:
            entries.append((take(2).decode(), take(2).decode(), take(4)))
        except UnicodeDecodeError:
            raise Malformed("text") from None
    need(at == end, Malformed, "bytes after the last entry")
    need(len({uri for uri, _, _ in entries}) == count, Malformed, "named twice")
    for uri, version, wrapped in entries:
        check_uri(uri)
        need(all(unicodedata.category(c) != "Cc" for c in version), Malformed, "key version")
        need(wrapped, Malformed, "empty wrapped key")
    return entries, end


def unwrap(entry, wrapped, aad):
    """The wrapping of the vectors: nonce, then AES-256-GCM of the data key."""
    aad = aad if entry["wrapAad"] else None
    return gcm_open(bytes.fromhex(entry["kek"]), wrapped[:12], wrapped[12:], aad)


def open_message(sealed, known, aad):
    entries, end = read_recipients(sealed)
    body = sealed[end + 32 :]
    need(body[:4] in (b"LNG1", b"LNGS"), Malformed, "body")
    is_value = body[:4] == b"LNG1"
    header = body[: 64 if is_value else 84]
    (check_value_format if is_value else check_stream_format)(body)
    by_uri = {entry["uri"]: entry for entry in known}
    found = next(((by_uri[uri], wrapped) for uri, _, wrapped in entries if uri in by_uri), None)
    need(found, Unknown, "no recipient is known")
    material = unwrap(*found, parts(b"lango/v1/dek", header[8:20], header[20:52]))
    key = DataKey(material, header[8:20])
    need(hmac.compare_digest(key.commitment, header[20:52]), Failed, "commitment")
    need(hmac.compare_digest(mac(key.recipients, sealed[:end] + header), sealed[end : end + 32]), Failed, "MAC")
    user = parts(b"lango/v1/user", aad)
    return (open_value if is_value else open_stream)(key, body, user)


# --- keyslots ------------------------------------------------------------------------------------------------

KINDS = {"passphrase", "recovery", "master-key-file", "env", "keyring", "provider"}


def unbase64(text, kind=Malformed):
    try:
        value = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise kind("base64") from None
    need(base64.b64encode(value).decode() == text, kind, "base64")
    return value


def is_hex(text, size):
    return isinstance(text, str) and re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text) is not None


def within(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def check_slot(slot):
    need(isinstance(slot, dict) and slot.get("kind") in KINDS, Malformed, "kind")
    needed = {"id", "kind", "createdAt", "sealed"}
    needed |= {"kdf"} if slot["kind"] == "passphrase" else set()
    needed |= {"uri", "keyVersion", "wrapped"} if slot["kind"] == "provider" else set()
    allowed = {"label"} | ({"weakKdfAccepted"} if slot["kind"] == "passphrase" else set())
    need(needed <= set(slot) <= needed | allowed, Malformed, "slot keys")
    need(isinstance(slot.get("weakKdfAccepted", True), bool), Malformed, "weakKdfAccepted")
    need(is_hex(slot["id"], 12) and len(unbase64(slot["sealed"])) == 112, Malformed, "slot")
    if slot["kind"] == "passphrase":
        kdf = slot["kdf"]
        need(16 <= len(unbase64(kdf.get("salt"))) <= 64, Malformed, "salt")
        if kdf.get("name") == "argon2id":
            need(set(kdf) == {"name", "memoryKiB", "iterations", "parallelism", "salt"}, Malformed, "kdf")
            need(within(kdf["parallelism"], 1, 16) and within(kdf["iterations"], 1, 16), Malformed, "costs")
            need(within(kdf["memoryKiB"], 8 * kdf["parallelism"], 1 << 20), Malformed, "memory")
        else:
            need(set(kdf) == {"name", "iterations", "salt"}, Malformed, "kdf")
            need(kdf["name"] == "pbkdf2-sha256" and within(kdf["iterations"], 1, 10**7), Malformed, "costs")
    if slot["kind"] == "provider":
        check_uri(slot["uri"])


def parse_keyslots(data):
    need(len(data) <= 256 << 10, Integrity, "too large")
    try:
        file = parse_json(data.decode())
    except (Malformed, UnicodeDecodeError) as error:
        raise Integrity(str(error)) from None
    need(isinstance(file, dict), Malformed, "no object")
    need(not within(file.get("version"), 2, 1 << 53), Newer, "newer version")
    need(set(file) == {"version", "vaultId", "generation", "slots", "sha256", "mac"}, Malformed, "keys")
    need(file["version"] == 1 and is_hex(file["vaultId"], 16), Malformed, "vault id")
    need(within(file["generation"], 1, (1 << 53) - 1), Malformed, "generation")
    need(isinstance(file["slots"], list) and 1 <= len(file["slots"]) <= 32, Malformed, "slots")
    for slot in file["slots"]:
        check_slot(slot)
    need(len({slot["id"] for slot in file["slots"]}) == len(file["slots"]), Malformed, "slot id twice")
    summed = {name: value for name, value in file.items() if name != "sha256"}
    need(sha256(jcs(summed).encode()).hex() == file["sha256"], Integrity, "checksum")
    return file


def verify_keyslots(file, vault_key):
    key = hkdf(vault_key, bytes.fromhex(file["vaultId"]), b"lango/v1/slotfile")
    signed = {name: value for name, value in file.items() if name not in ("sha256", "mac")}
    need(hmac.compare_digest(mac(key, jcs(signed).encode()).hex(), file["mac"]), Integrity, "MAC")


def passphrase_key(passphrase, kdf):
    text = re.sub(r"\r?\n\Z", "", passphrase.decode())
    secret, salt = unicodedata.normalize("NFC", text).encode(), unbase64(kdf["salt"])
    if kdf["name"] == "pbkdf2-sha256":
        return hashlib.pbkdf2_hmac("sha256", secret, salt, kdf["iterations"], 32)
    if Argon2id is None:
        raise LeftOut("this version of cryptography has no Argon2id")
    costs = {"iterations": kdf["iterations"], "lanes": kdf["parallelism"], "memory_cost": kdf["memoryKiB"]}
    return Argon2id(salt=salt, length=32, **costs).derive(secret)


def open_slot(file, slot, secret):
    vault_id, slot_id, kind = bytes.fromhex(file["vaultId"]), bytes.fromhex(slot["id"]), slot["kind"]
    if kind == "passphrase":
        slot_key = passphrase_key(secret, slot["kdf"])
    elif kind in ("keyring", "provider"):
        slot_key = secret
    else:
        slot_key = hkdf(secret, vault_id + slot_id, b"lango/v1/slot-key/" + kind.encode())
    others = {name: value for name, value in slot.items() if name not in ("id", "kind", "sealed")}
    aad = parts(b"lango/v1/slot", vault_id, slot_id, kind.encode(), jcs(others).encode())
    return open_value(DataKey(slot_key, slot_id), unbase64(slot["sealed"]), aad)


# --- the checks, one generator of (name, check) per file -----------------------------------------------------


def same(found, expected):
    if found != expected:
        raise AssertionError(f"found {found!r:.200}, expected {expected!r:.200}")


def refused(code, run):
    try:
        run()
    except REFUSALS as error:
        same(error.code, code)
        return
    raise AssertionError(f"was taken; expected {code}")


def unhex(vector, *names):
    return (bytes.fromhex(vector[name]) for name in names)


def check_aad(vectors):
    for v in vectors:
        yield v["name"], lambda v=v: same(parts(*map(bytes.fromhex, v["parts"])).hex(), v["bytes"])
    encoded = [v["bytes"] for v in vectors]
    yield "all differ", lambda: same(len(set(encoded)), len(encoded))


def check_hkdf(vectors):
    for v in vectors:
        key, salt, info, output = unhex(v, "key", "salt", "info", "output")
        yield v["name"], lambda a=(key, salt, info), o=output: same(hkdf(*a, len(o)), o)


def check_jcs(vectors):
    for v in vectors["good"]:

        def good(v=v):
            canonical = jcs(parse_json(v["json"]))
            same(canonical, v["canonical"])
            same(sha256(canonical.encode()).hex(), v["sha256"])

        yield v["name"], good
    for v in vectors["bad"]:
        yield v["name"], lambda v=v: refused(v["error"], lambda: parse_json(v["json"]))


def check_lng1(vectors):
    for v in vectors:
        material, key_id, aad, sealed = unhex(v, "key", "id", "aad", "sealed")
        key = DataKey(material, key_id)

        def check(v=v, key=key, aad=aad, sealed=sealed):
            if "error" in v:
                return refused(v["error"], lambda: open_value(key, sealed, aad))
            plaintext, nonce = unhex(v, "plaintext", "nonce")
            same(seal_value(key, plaintext, aad, nonce), sealed)
            return same(open_value(key, sealed, aad), plaintext)

        yield v["name"], check


def check_lngs(vectors):
    for v in vectors:

        def check(v=v):
            material, key_id, aad, salt = unhex(v, "key", "id", "aad", "salt")
            key = DataKey(material, key_id)
            plaintext = bytes((7 * i + (i >> 8)) & 255 for i in range(v["patternBytes"]))
            header, segments = seal_stream(key, plaintext, aad, salt)
            sealed = header + b"".join(segments)
            same(sha256(sealed).hex(), v["sealedSha256"])
            same(sealed.hex(), v.get("sealed", sealed.hex()))
            if "segments" in v:
                sealed = header + b"".join(segments[n] for n in v["segments"])
            sealed = bytearray(sealed + bytes.fromhex(v.get("append", "")))
            sealed = sealed[: len(sealed) - v.get("cut", 0)]
            if "flip" in v:
                sealed[v["flip"]] ^= 1
            aad = bytes.fromhex(v.get("openAad", v["aad"]))
            if "error" in v:
                return refused(v["error"], lambda: open_stream(key, bytes(sealed), aad))
            return same(open_stream(key, bytes(sealed), aad), plaintext)

        yield v["name"], check


def check_lngr(vectors):
    for v in vectors:
        sealed, aad = unhex(v, "sealed", "aad")

        def check(v=v, sealed=sealed, aad=aad):
            if "error" in v:
                return refused(v["error"], lambda: open_message(sealed, v["known"], aad))
            return same(open_message(sealed, v["known"], aad).hex(), v["plaintext"])

        yield v["name"], check


def check_keyslots(vectors):
    vault_key = bytes.fromhex(vectors["vaultKey"])
    file = parse_keyslots(vectors["file"].encode())
    yield "MAC", lambda: verify_keyslots(file, vault_key)
    for slot in file["slots"]:
        secret = bytes.fromhex(vectors["secrets"][slot["id"]])
        yield f"slot: {slot['kind']}", lambda s=slot, k=secret: same(open_slot(file, s, k), vault_key)
        yield f"slot: {slot['kind']}, wrong", lambda s=slot, k=secret: refused(
            "ERR_DECRYPTION_FAILED", lambda: open_slot(file, s, k[:-1] + bytes([k[-1] ^ 1]))
        )
    for v in vectors["bad"]:

        def bad(v=v):
            data = (v["file"] + " " * v.get("spaces", 0)).encode()
            refused(v["error"], lambda: verify_keyslots(parse_keyslots(data), vault_key))

        yield v["name"], bad


CHECKS = {
    "aad": check_aad,
    "hkdf": check_hkdf,
    "jcs": check_jcs,
    "keyslots": check_keyslots,
    "lng1": check_lng1,
    "lngr": check_lngr,
    "lngs": check_lngs,
}


def main(names):
    faults = 0
    for name in names:
        vectors = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        total = run = 0
        for title, check in CHECKS[name](vectors):
            total += 1
            try:
                check()
                run += 1
            except LeftOut as reason:
                print(f"{name}.json: left out: {title}: {reason}")
            except Exception as error:  # a check that breaks is a check that fails
                faults += 1
                print(f"{name}.json: FAILED: {title}: {type(error).__name__}: {error}")
        print(f"{name}.json: {run}/{total}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main([pathlib.Path(arg).stem for arg in sys.argv[1:]] or sorted(CHECKS)))
