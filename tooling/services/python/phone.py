"""A companion for phones, written from docs/companion-protocol.md alone: other TLS bindings, WebSocket and JSON than ours.

Usage: phone.py; calls come on stdin, see serve.py.
"""

import datetime
import hashlib
import hmac
import json
import secrets
import socket
import struct
import time
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from OpenSSL import SSL
from serve import serve
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri

VERSION = "lango-companion.1"
NAME = "Ada's phone ☎"
ONCE = {"sign", "mac", "wallet.sign", "approval.request"}


class Refused(Exception):
    """The other side is not who it should be, or does not keep to the protocol."""


def base64(data):
    return b64encode(data).decode()


def pin_of(public_key):
    spki = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return urlsafe_b64encode(hashlib.sha256(spki).digest()).decode().rstrip("=")


def pin_bytes(pin):
    return urlsafe_b64decode(pin + "=")


def parts(*items):
    items = [item.encode() if isinstance(item, str) else item for item in items]
    head = struct.pack(">I", len(items))
    return head + b"".join(struct.pack(">I", len(item)) + item for item in items)


def sign(key, data):
    """ECDSA P-256 with SHA-256, as r and s of 32 bytes each."""
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def check(public_key, signature, data):
    if len(signature) != 64:
        raise Refused("a signature is not of 64 bytes")
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    public_key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))


def make_certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "phone")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + 3650 * day)
        .sign(key, hashes.SHA256())
    )


def decode_code(text):
    """26 characters of Crockford's base32: 128 bits, most significant first."""
    value = 0
    for character in text.upper().replace("-", "").replace(" ", ""):
        character = {"O": "0", "I": "1", "L": "1"}.get(character, character)
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    return value.to_bytes(16, "big")


class Connection:
    """TLS 1.3 with both certificates, and a WebSocket in it."""

    def __init__(self, port, identity, path, protocols, is_known):
        key, certificate = identity
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_alpn_protos([b"http/1.1"])
        context.set_options(SSL.OP_NO_TICKET)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        self.tls = SSL.Connection(context, socket.create_connection(("127.0.0.1", port), 10))
        # Blocking, because pyOpenSSL takes a timeout for a socket that is not ready.
        self.tls.setblocking(True)
        self.tls.set_connect_state()
        self.tls.do_handshake()
        other = self.tls.get_peer_certificate(as_cryptography=True)
        self.public_key = other.public_key()
        self.pin = pin_of(self.public_key)
        now = datetime.datetime.now(datetime.timezone.utc)
        if (
            not isinstance(self.public_key.curve, ec.SECP256R1)
            or not other.not_valid_before_utc <= now <= other.not_valid_after_utc
            or not is_known(self.pin)
        ):
            self.tls.sock_shutdown(socket.SHUT_RDWR)
            raise Refused("this is no device that is paired")
        self.messages = []
        self.web = ClientProtocol(parse_uri(f"ws://lango{path}"), subprotocols=protocols)
        self.web.send_request(self.web.connect())
        while self.web.state.name == "CONNECTING":
            self.read()
        if self.web.handshake_exc:
            raise self.web.handshake_exc

    def exporter(self, label):
        return self.tls.export_keying_material(label, 32)

    def flush(self):
        for data in self.web.data_to_send():
            if data:
                self.tls.sendall(data)

    def read(self):
        self.flush()
        try:
            self.web.receive_data(self.tls.recv(65536))
        except (SSL.ZeroReturnError, SSL.SysCallError):
            self.web.receive_eof()
        for event in self.web.events_received():
            if getattr(event, "opcode", None) is Opcode.TEXT:
                self.messages.append(event.data.decode())
        # Answers pings as well.
        self.flush()

    def receive(self):
        while not self.messages:
            if self.web.state.name == "CLOSED":
                raise Refused(f"closed: {self.web.close_code} {self.web.close_reason}")
            self.read()
        return json.loads(self.messages.pop(0))

    def send(self, message):
        self.web.send_text(json.dumps(message, ensure_ascii=False).encode())
        self.flush()

    def close(self):
        self.web.send_close(1000)
        self.flush()
        self.tls.sock_shutdown(socket.SHUT_RDWR)
        self.tls.close()


key = ec.generate_private_key(ec.SECP256R1())
identity = (key, make_certificate(key))
# What a phone has in its keystore beside its identity.
signing_key = ec.generate_private_key(ec.SECP256R1())
pins, results = {}, {}
channel = sent = received = None


def expect(connection, kind):
    message = connection.receive()
    if message["type"] != kind:
        raise Refused(f"{message}, not {kind}")
    return message


def commit(side, exporter, pin, nonce):
    label = "lango/v1/pair/commitment"
    return hashlib.sha256(parts(label, side, exporter, pin_bytes(pin), nonce)).digest()


def pair(port, code=None):
    """Joins a pairing that an agent opened: by the code that it shows, or else by comparing digits, which always fit here."""
    mode = "code" if code else "compare"
    connection = Connection(port, identity, "/companion/pair", None, lambda pin: True)
    exporter = connection.exporter(b"EXPORTER-lango-pairing-v1")
    own_pin = pin_of(key.public_key())
    nonce = secrets.token_bytes(32)
    me = {"version": 1, "mode": mode, "role": "companion", "name": NAME}
    if mode == "compare":
        me["commitment"] = base64(commit("joiner", exporter, own_pin, nonce))
    connection.send({"type": "hello", **me})
    host = expect(connection, "hello")
    if (host["version"], host["mode"], host["role"]) != (1, mode, "agent"):
        raise Refused(f"{host}")
    transcript = parts(
        mode,
        host["id"],
        exporter,
        parts(host["role"], host["name"], pin_bytes(connection.pin)),
        parts(me["role"], me["name"], pin_bytes(own_pin)),
    )
    digits = None
    if mode == "code":
        prove(connection, decode_code(code), transcript)
    else:
        digits = compare(connection, nonce, b64decode(host["commitment"]), exporter, transcript)
    connection.send({"type": "ready"})
    expect(connection, "stored")
    pins[connection.pin] = host["id"]
    connection.send({"type": "done"})
    return {"id": host["id"], "pin": own_pin, "agent": connection.pin, "digits": digits}


def prove(connection, secret, transcript):
    def proof(side):
        return hmac.digest(secret, parts(f"lango/v1/pair/{side}", transcript), "sha256")

    connection.send({"type": "proof", "proof": base64(proof("joiner"))})
    if not hmac.compare_digest(b64decode(expect(connection, "proof")["proof"]), proof("host")):
        raise Refused("the agent does not know the code")


def compare(connection, nonce, commitment, exporter, transcript):
    connection.send({"type": "reveal", "nonce": base64(nonce)})
    theirs = b64decode(expect(connection, "reveal")["nonce"])
    if commit("host", exporter, connection.pin, theirs) != commitment:
        raise Refused("another nonce than was promised")
    mac = hmac.digest(theirs + nonce, parts("lango/v1/pair/digits", transcript), "sha256")
    return f"{int.from_bytes(mac[:8], 'big') % 10**6:06}"


def send(frame):
    global sent
    channel.send({"jsonrpc": "2.0", "seq": sent, **frame})
    sent += 1


def receive():
    global received
    frame = channel.receive()
    if frame["jsonrpc"] != "2.0" or frame["seq"] != received:
        raise Refused("a frame out of turn")
    received += 1
    return frame


def connect(port):
    """Opens a channel to the agent."""
    global channel, sent, received
    channel = Connection(port, identity, "/companion", [VERSION], lambda pin: pin in pins)
    if channel.web.subprotocol != VERSION:
        raise Refused("another version")
    sent = received = 0
    binding = channel.exporter(b"EXPORTER-lango-companion-v1")

    def statement(role):
        return b"lango/v1/companion/hello" + role.encode() + binding

    proof = base64(sign(key, statement("companion")))
    send({"method": "hello", "params": {"version": VERSION, "role": "companion", "proof": proof}})
    hello = receive()
    params = hello["params"]
    if (hello["method"], params["version"], params["role"]) != ("hello", VERSION, "agent"):
        raise Refused(f"{hello}")
    check(channel.public_key, b64decode(params["proof"]), statement("agent"))
    return channel.pin


class Failed(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def do_status(params, request):
    return {"name": NAME, "asks": True, "keys": 1}


def do_sign(params, request):
    if params["keyId"] != "main":
        raise Failed("ERR_KEY_NOT_FOUND", "There is no such key")
    scheme = "ecdsa-p256-sha256"
    if params.get("algorithm", scheme) != scheme:
        raise Failed("ERR_UNSUPPORTED", "This key signs otherwise")
    if "message" in params:
        signature = sign(signing_key, b64decode(params["message"]))
    else:
        digest = utils.Prehashed(hashes.SHA256())
        der = signing_key.sign(b64decode(params["digest"]), ec.ECDSA(digest))
        signature = b"".join(n.to_bytes(32, "big") for n in utils.decode_dss_signature(der))
    key_of = {"keyId": "main", "keyVersion": "1"}
    return {**key_of, "signature": base64(signature), "algorithm": scheme}


def do_public_key(params, request):
    spki = signing_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    used = {"keyId": params["keyId"], "keyVersion": "1"}
    return {**used, "publicKey": base64(spki), "algorithm": "ecdsa-p256"}


def do_approval(params, request):
    send({"method": "waiting", "params": {"id": request["id"]}})
    # The person reads, and says yes to what is not dangerous.
    approved = not params["dangerous"]
    decided_at = int(time.time() * 1000)
    statement = parts(
        "lango/v1/approval",
        channel.exporter(b"EXPORTER-lango-companion-v1"),
        b64decode(params["commitment"]),
        parts(*params["summary"]),
        "dangerous" if params["dangerous"] else "normal",
        "yes" if approved else "no",
        str(decided_at),
        str(params["expiresAt"]),
        request["id"],
    )
    signature = base64(sign(key, statement))
    return {"approved": approved, "signature": signature, "decidedAt": decided_at}


METHODS = {
    "status": do_status,
    "sign": do_sign,
    "getPublicKey": do_public_key,
    "approval.request": do_approval,
}


def perform(request):
    method, params = request["method"], request["params"]
    if method not in METHODS:
        return {"error": {"code": -32601, "message": "There is no such method"}}
    try:
        return {"result": METHODS[method](params, request)}
    except Failed as failure:
        data = {"code": failure.code, "retryable": False}
        return {"error": {"code": -32000, "message": str(failure), "data": data}}


def answer(requests):
    """Answers so many requests; tells what they were."""
    seen = []
    while len(seen) < requests:
        request = receive()
        if request["method"] == "cancel":
            continue
        compact = json.dumps(request["params"], separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(f"{request['method']}\n{compact}".encode()).digest()
        name = (pins[channel.pin], request["id"])
        kept = results.get(name)
        if kept is None:
            outcome = perform(request)
            if request["method"] in ONCE and "result" in outcome:
                results[name] = digest, outcome
        elif kept[0] == digest:
            outcome = kept[1]
        else:
            data = {"code": "ERR_CONFLICT", "retryable": False}
            error = {"code": -32000, "message": "The id was used already", "data": data}
            outcome = {"error": error}
        send({"id": request["id"], **outcome})
        seen.append(request["method"])
    return seen


def disconnect():
    channel.close()



serve(
    {
        "pair": pair,
        "connect": connect,
        "answer": answer,
        "disconnect": disconnect,
    }
)
