import https from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { makeCertificate } from "../../../packages/crypto-azure-kv/test/stand-in/tls.ts";
import { startFaultProxy } from "../proxy.ts";

it("ends TLS, asks an HTTPS target, puts its own address in, and breaks connections without a goodbye", async () => {
  const tls = makeCertificate();
  const server = https.createServer(tls, (request, response) => {
    response.end(`https://127.0.0.1:${port}${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const target = `https://127.0.0.1:${port}`;
  const proxy = await startFaultProxy({
    target,
    protocol: "https",
    tls,
    targetCa: tls.cert,
    rewriteAddress: true,
  });
  const get = () =>
    new Promise<string>((resolve, reject) => {
      https
        .get(`${proxy.url}/keys`, { ca: tls.cert, agent: false }, (answer) =>
          text(answer).then(resolve, reject),
        )
        .on("error", reject);
    });

  expect(await get()).toBe(`${proxy.url}/keys`);
  proxy.inject({ fault: { kind: "reset", after: "the work" } });
  await expect(get()).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(proxy.requests().map(({ forwarded }) => forwarded)).toEqual([true, true]);
  await proxy.stop();
  server.close();
});
