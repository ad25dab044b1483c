// A bare `ws` server in a process of its own that sends back what it gets, over the TLS that companions speak: `node rpc-echo.ts`
// with the folder of its identity. With `sign` as a second argument it makes a signature for each message, with Node alone, and
// sends that in a message of the same size. It prints its port, and ends with its standard input.
import { generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { loadIdentity } from "@lango/companion";
import { WebSocketServer } from "ws";
import { echoTls } from "./rpc-tls.ts";

const identity = await loadIdentity({ folder: process.argv[2]!, name: "echo" });
const { privateKey } = generateKeyPairSync("ed25519");
const signed = (text: string): string =>
  sign(null, Buffer.from(text.slice(0, 32)), privateKey)
    .toString("base64")
    .padEnd(text.length);
const answer = process.argv[3] === "sign" ? signed : (text: string) => text;

const server = createServer(echoTls(identity));
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("message", (data) => socket.send(answer(String(data))));
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.stdin.on("end", () => process.exit()).resume();
