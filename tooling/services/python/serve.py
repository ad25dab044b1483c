"""Lets a test call Python functions: a line of JSON is a call, a line of JSON is its answer. Bytes are {"base64": TEXT}."""

import base64
import json
import sys


def decode(value):
    return base64.b64decode(value["base64"]) if list(value) == ["base64"] else value


def encode(value):
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return str(value)


def serve(functions):
    """Calls what {"call": NAME, "with": ARGUMENTS} names until the input ends."""
    # Whatever a library prints must not come between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        call = json.loads(line, object_hook=decode)
        try:
            answer = {"result": functions[call["call"]](**call["with"])}
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer, default=encode), file=out, flush=True)
