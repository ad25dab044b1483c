// A bare `ws` server in a process of its own, over the TLS that companions speak: `node rpc-echo.ts` with the folder of its
// identity. To each message it sends one of the size of an answer; with `ecdsa-p256` or `ed25519` as a second argument it makes
// a signature for it, with Node alone, and sends that. It prints its port, and ends with its standard input.
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { loadIdentity } from "@lango/companion";
import { WebSocketServer } from "ws";
import { ANSWER_CHARACTERS, echoTls } from "./rpc-tls.ts";

type Answer = (text: string) => string;

const padded = (text: string): string => text.padEnd(ANSWER_CHARACTERS);
/** Signs 32 bytes, in the form that Node makes fastest. */
const signs = (hash: "sha256" | null, key: KeyObject): Answer => {
  return (text) => padded(sign(hash, Buffer.from(text.slice(0, 32)), key).toString("base64"));
};
const answers: Readonly<Record<string, () => Answer>> = {
  nothing: () => () => padded("x"),
  "ecdsa-p256": () =>
    signs("sha256", generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
  ed25519: () => signs(null, generateKeyPairSync("ed25519").privateKey),
};

const [, , folder = "", signature = "nothing"] = process.argv;
const answer = answers[signature]!();
const server = createServer(echoTls(await loadIdentity({ folder, name: "echo" })));
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("message", (data) => socket.send(answer(String(data))));
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.stdin.on("end", () => process.exit()).resume();
