"""Genuine SQLCipher 4 for the tests: reads, changes and makes databases with a raw key or a passphrase.

    sqlcipher.py version
    sqlcipher.py read|touch FILE KEY PAGE_SIZE
    sqlcipher.py make FILE KEY PAGE_SIZE PLAIN_FILE

KEY is what `PRAGMA key` takes, and comes by standard input. Prints one JSON document.
"""

import hashlib
import json
import sys

import sqlcipher3


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def key_literal(key):
    # A raw key is written x'...' inside double quotes, a passphrase as any text.
    return '"' + key + '"' if key.startswith("x'") else quoted(key)


def connect(path, key, page_size):
    database = sqlcipher3.connect(path, isolation_level=None)
    database.execute("PRAGMA key = " + key_literal(key))
    database.execute("PRAGMA cipher_page_size = " + page_size)
    return database


def tables(database):
    return [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]


def digest(database):
    """Every row of every table, so that both sides can be compared."""
    found = {}
    for name in tables(database):
        rows = sorted(repr(row) for row in database.execute('SELECT * FROM "' + name + '"'))
        found[name] = [len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()]
    return found


def read(path, key, page_size):
    database = connect(path, key, page_size)
    return {
        "tables": digest(database),
        "names": [name for (name,) in database.execute("SELECT name FROM secrets ORDER BY name")],
        "pageSize": int(database.execute("PRAGMA page_size").fetchone()[0]),
        # No row: every page has a right HMAC.
        "cipherFaults": database.execute("PRAGMA cipher_integrity_check").fetchall(),
        "faults": [row[0] for row in database.execute("PRAGMA integrity_check")],
    }


def touch(path, key, page_size):
    database = connect(path, key, page_size)
    changed = database.execute("UPDATE secrets SET uses = uses + 1000").rowcount
    database.close()
    return changed


def make(path, key, page_size, plain):
    source = sqlcipher3.connect(plain, isolation_level=None)
    source.execute("ATTACH DATABASE " + quoted(path) + " AS made KEY " + key_literal(key))
    source.execute("PRAGMA made.cipher_page_size = " + page_size)
    source.execute("SELECT sqlcipher_export('made')")
    for pragma in ("application_id", "user_version"):
        value = source.execute("PRAGMA " + pragma).fetchone()[0]
        source.execute("PRAGMA made.%s = %d" % (pragma, value))
    source.close()
    return True


command, *rest = sys.argv[1:]
if command == "version":
    result = sqlcipher3.connect(":memory:").execute("PRAGMA cipher_version").fetchone()[0]
else:
    file, size, *others = rest
    result = {"read": read, "touch": touch, "make": make}[command](file, sys.stdin.read(), size, *others)
print(json.dumps(result))
