import { once } from "node:events";
import { createServer } from "node:net";
import { connect } from "node:tls";
import { connectionFault } from "@lango/crypto-core";
import { expect, it } from "vitest";

it.each([
  ["ECONNRESET", "unreachable"],
  ["EAI_AGAIN", "unreachable"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "untrusted"],
  ["CERT_HAS_EXPIRED", "untrusted"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "untrusted"],
  ["ENOENT", undefined],
  ["XECONNRESET", undefined],
  [14, undefined],
  [undefined, undefined],
])("%s is %s", (code, fault) => expect(connectionFault(code)).toBe(fault));

it("knows what Node says", async () => {
  const server = createServer((socket) => socket.end("no TLS here"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const failure = async (): Promise<unknown> => {
    const [{ code }] = (await once(connect(port, "127.0.0.1"), "error").catch((error) => [
      error,
    ])) as [{ code: unknown }];
    return connectionFault(code);
  };
  expect(await failure()).toBe("untrusted");
  await new Promise((resolve) => server.close(resolve));
  expect(await failure()).toBe("unreachable");
});
