import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { CryptoError } from "@lango/crypto-core";
import { VERSIONS } from "../protocol/hello.ts";

const MAX_BODY_BYTES = 4096;

/** Why an upgrade is refused; the dialler gets a typed error of it. */
export type Refusal = "not-found" | "version" | "full";

const STATUS: Readonly<Record<Refusal, string>> = {
  "not-found": "404 Not Found",
  version: "426 Upgrade Required",
  full: "503 Service Unavailable",
};

/** Answers an upgrade with what this side speaks, and ends the connection. */
export const refuseUpgrade = (socket: Duplex, refusal: Refusal): void => {
  const body = JSON.stringify({ supported: VERSIONS });
  socket.end(
    [
      `HTTP/1.1 ${STATUS[refusal]}`,
      "Connection: close",
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(body)}`,
      "",
      body,
    ].join("\r\n"),
  );
};

/** The error of a refused upgrade. */
export const refusalOf = async (response: IncomingMessage): Promise<CryptoError> => {
  switch (response.statusCode) {
    case 426: {
      const supported = await readSupported(response);
      const message = `No common version: this side speaks ${VERSIONS.join(", ")}, the other one ${supported}`;
      return new CryptoError("ERR_UNSUPPORTED", message);
    }
    case 503:
      return new CryptoError("ERR_RATE_LIMITED", "The other side has as many channels as it takes");
    default: {
      const message = `The other side takes no companion channel (HTTP ${response.statusCode})`;
      return new CryptoError("ERR_UNAVAILABLE", message);
    }
  }
};

/** The other side's list, made fit for a message; a paired device wrote it. */
const readSupported = async (response: IncomingMessage): Promise<string> => {
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) {
    body += chunk;
    if (body.length > MAX_BODY_BYTES) return "too many";
  }
  const names = body.match(/[a-z]+(?:-[a-z]+)*\.[0-9]+/g);
  return names?.join(", ") ?? "none";
};
