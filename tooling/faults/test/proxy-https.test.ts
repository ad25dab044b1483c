import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { requireService } from "../../vitest/require-service.ts";
import { startFaultProxy } from "../proxy.ts";

/** A certificate for localhost that is its own authority. */
function certificate(openssl: string): { cert: string; key: string } {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-tls-"));
  try {
    const [key, cert] = [path.join(folder, "key.pem"), path.join(folder, "cert.pem")];
    const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    args.push("-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", key, "-out", cert);
    execFileSync(openssl, [...args, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], {
      stdio: "ignore",
    });
    return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it("ends TLS, asks an HTTPS target, and breaks connections without a goodbye", async () => {
  const tls = certificate(requireService("openssl"));
  const server = https.createServer(tls, (request, response) => response.end(request.url));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const target = `https://localhost:${port}`;
  const proxy = await startFaultProxy({ target, protocol: "https", tls, targetCa: tls.cert });
  const get = () =>
    new Promise<string>((resolve, reject) => {
      https
        .get(`${proxy.url}/keys`, { ca: tls.cert, agent: false }, (answer) =>
          text(answer).then(resolve, reject),
        )
        .on("error", reject);
    });

  expect(await get()).toBe("/keys");
  proxy.inject({ fault: { kind: "reset", after: "the work" } });
  await expect(get()).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(proxy.requests().map(({ forwarded }) => forwarded)).toEqual([true, true]);
  await proxy.stop();
  server.close();
});
