# Starts localstack's AWS KMS as this project's tests need it; its own code is unchanged.
import sys
import uuid

if sys.version_info < (3, 12):
    # It calls uuid5 with bytes, as Python 3.12 allows; what 3.12 does is what this does.
    import hashlib

    def uuid5(namespace, name):
        data = name if isinstance(name, bytes) else name.encode()
        digest = hashlib.sha1(namespace.bytes + data, usedforsecurity=False).digest()
        return uuid.UUID(bytes=digest[:16], version=5)

    uuid.uuid5 = uuid5

# It listens on every interface, whatever GATEWAY_LISTEN says.
from twisted.internet import reactor

listen = reactor.listenTCP
reactor.listenTCP = lambda port, factory, backlog=50, interface="": listen(
    port, factory, backlog, "127.0.0.1"
)

from localstack.runtime.main import main

main()
