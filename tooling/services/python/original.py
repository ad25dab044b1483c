"""Databases of the original Lango for the tests, made without any code of this project.

    original.py seal     needs `cryptography`: derives the keys and seals the values
    original.py make     needs `sqlcipher3`: writes what `seal` printed into a database
    original.py hold     needs `sqlcipher3`: keeps a database open until its standard input ends

Takes one JSON document by standard input and prints one.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import uuid

ITERATIONS = 100_000
TIME = "2026-02-20 10:11:12.123456789+09:00"


def b64(data):
    return base64.b64encode(data).decode()


def seal(wish):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    passphrase = wish["passphrase"].encode()

    def sealed(key, value):
        nonce = os.urandom(12)
        return nonce + AESGCM(key).encrypt(nonce, value, None)

    salt = os.urandom(16)
    legacy = hashlib.pbkdf2_hmac("sha256", passphrase, salt, ITERATIONS)
    master = os.urandom(32)
    extracted = hmac.digest(b"\0" * 32, master, "sha256")
    raw = hmac.digest(extracted, b"lango-db-encryption\x01", "sha256")
    slot_salt = os.urandom(16)
    kek = hashlib.pbkdf2_hmac("sha256", passphrase, slot_salt, ITERATIONS)
    nonce = os.urandom(12)
    slot = {
        "id": str(uuid.uuid4()),
        "type": "passphrase",
        "kdf_alg": "pbkdf2-sha256",
        "kdf_params": {"iterations": ITERATIONS},
        "wrap_alg": "aes-256-gcm",
        "domain": "passphrase",
        "salt": b64(slot_salt),
        "wrapped_mk": b64(AESGCM(kek).encrypt(nonce, master, None)),
        "nonce": b64(nonce),
        "created_at": "2026-04-13T10:00:00Z",
    }
    mnemonic = dict(slot, id=str(uuid.uuid4()), type="mnemonic", domain="mnemonic", nonce=b64(os.urandom(12)))
    envelope = {
        "version": 1,
        "slots": [slot, mnemonic],
        "created_at": "2026-04-13T10:00:00Z",
        "updated_at": "2026-04-13T10:00:00Z",
    }
    key = {"legacy": legacy, "master": master, "service": os.urandom(32)}
    return {
        "salt": b64(salt),
        "checksum": b64(hmac.digest(salt, passphrase, "sha256")),
        "envelope": envelope,
        "rawKey": "x'" + raw.hex() + "'",
        "secrets": [
            dict(each, value=b64(sealed(key[each["sealedBy"]], base64.b64decode(each["value"]))))
            for each in wish["secrets"]
        ],
        "profile": b64(sealed(key["master"], b'{"config":{}}')),
    }


SCHEMA = """
CREATE TABLE `keys` (`id` uuid NOT NULL, `name` text NOT NULL, `remote_key_id` text NOT NULL, `type` text NOT NULL DEFAULT ('encryption'), `created_at` datetime NOT NULL, `last_used_at` datetime NULL, PRIMARY KEY (`id`));
CREATE UNIQUE INDEX `keys_name_key` ON `keys` (`name`);
CREATE TABLE `secrets` (`id` uuid NOT NULL, `name` text NOT NULL, `encrypted_value` blob NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `access_count` integer NOT NULL DEFAULT (0), `key_secrets` uuid NOT NULL, PRIMARY KEY (`id`));
CREATE UNIQUE INDEX `secrets_name_key` ON `secrets` (`name`);
CREATE INDEX `secret_created_at` ON `secrets` (`created_at`);
CREATE TABLE `config_profiles` (`id` uuid NOT NULL, `name` text NOT NULL, `encrypted_data` blob NOT NULL, `active` bool NOT NULL DEFAULT (false), `version` integer NOT NULL DEFAULT (1), `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, PRIMARY KEY (`id`));
CREATE TABLE `sessions` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `key` text NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL);
CREATE TABLE `audit_logs` (`id` uuid NOT NULL, `action` text NOT NULL, `actor` text NOT NULL, `timestamp` datetime NOT NULL, PRIMARY KEY (`id`));
CREATE TABLE security_config (name TEXT PRIMARY KEY, value BLOB NOT NULL);
ALTER TABLE security_config ADD COLUMN checksum BLOB;
"""


def connect(wish):
    import sqlcipher3

    database = sqlcipher3.connect(wish["file"], isolation_level=None)
    key = wish.get("key")
    if key is not None:
        literal = '"' + key + '"' if key.startswith("x'") else "'" + key.replace("'", "''") + "'"
        database.execute("PRAGMA key = " + literal)
        database.execute("PRAGMA cipher_page_size = %d" % wish.get("pageSize", 4096))
    database.execute("PRAGMA journal_mode = WAL")
    return database


def make(wish):
    """With `inLog`, the last secrets are only in the log, as in a process that was killed."""
    database = connect(wish)
    database.executescript(SCHEMA)
    ids = {}
    for remote in ["local"] + sorted({each.get("remote", "local") for each in wish["secrets"]} - {"local"}):
        ids[remote] = str(uuid.uuid4())
        name = "default" if remote == "local" else "kms-default"
        database.execute("INSERT INTO keys VALUES (?, ?, ?, 'encryption', ?, NULL)", (ids[remote], name, remote, TIME))
    if wish["legacy"]:
        salt = base64.b64decode(wish["salt"])
        checksum = wish["checksum"] and base64.b64decode(wish["checksum"])
        database.execute("INSERT INTO security_config VALUES ('default', ?, ?)", (salt, checksum))
    profile = base64.b64decode(wish["profile"])
    database.execute("INSERT INTO config_profiles VALUES (?, 'default', ?, true, 1, ?, ?)", (str(uuid.uuid4()), profile, TIME, TIME))
    database.execute("INSERT INTO sessions (key, created_at, updated_at) VALUES ('s', ?, ?)", (TIME, TIME))
    in_log = wish.get("inLog", 0)
    for at, each in enumerate(wish["secrets"]):
        if in_log and at == len(wish["secrets"]) - in_log:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA wal_autocheckpoint = 0")
        values = (str(uuid.uuid4()), each["name"], base64.b64decode(each["value"]), TIME, TIME, 7, ids[each.get("remote", "local")])
        database.execute("INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    if in_log:
        print("true", flush=True)
        os.kill(os.getpid(), 9)
    database.close()
    return True


def hold(wish):
    database = connect(wish)
    count = database.execute("SELECT count(*) FROM secrets").fetchone()[0]
    print(count, flush=True)
    sys.stdin.read()
    return True


document = json.loads(sys.stdin.readline())
print(json.dumps({"seal": seal, "make": make, "hold": hold}[sys.argv[1]](document)))
