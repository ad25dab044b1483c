import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import { KeyManagementServiceClient } from "@google-cloud/kms";
import { type CryptoProvider, createResilientProvider } from "@lango/crypto-core";
import { googleAuthLibrary, grpc } from "google-gax";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { makeCertificate } from "../../crypto-azure-kv/test/stand-in/tls.ts";
import { createGcpKmsProvider, type GcpKmsClient } from "../src/index.ts";
import { Fault } from "./stand-in/resources.ts";
import { keyRing, withStandIn } from "./with-stand-in.ts";

const bench = withStandIn();
const plaintext = new Uint8Array(16).fill(7);
const somewhere = `${keyRing}/cryptoKeys/k`;
afterEach(() => vi.unstubAllEnvs());

test("import, and making a provider, load no SDK", () => {
  const program = `
    import { createGcpKmsProvider } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url))};
    createGcpKmsProvider({ keyId: "${somewhere}" });
    import { createRequire } from "node:module";
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    console.log(loaded.filter((path) => /google|grpc|protobuf/.test(path)).length, loaded.length > 0);
  `;
  const args = ["--conditions=@lango/source", "--input-type=module", "-e", program];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  // crc32c is CommonJS too, so that the cache that is looked into is known to fill.
  expect(stdout, stderr).toBe("0 true\n");
});

describe.each(["grpc", "rest"] as const)(
  "trap 2b.11: credentials and time, over %s",
  (transport) => {
    /** No Application Default Credentials, wherever this runs. */
    const withoutCredentials = (): string => {
      const home = mkdtempSync(join(tmpdir(), "lango-no-credentials-"));
      vi.stubEnv("HOME", home);
      vi.stubEnv("APPDATA", home);
      vi.stubEnv("CLOUDSDK_CONFIG", home);
      vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", undefined);
      vi.stubEnv("METADATA_SERVER_DETECTION", "none");
      return home;
    };

    test("no credentials end as ERR_ACCESS_DENIED, each time, and nothing is left unhandled", async () => {
      const home = withoutCredentials();
      const unhandled: unknown[] = [];
      const note = (error: unknown) => unhandled.push(error);
      process.on("unhandledRejection", note);
      try {
        const provider = createGcpKmsProvider({ transport, keyId: somewhere });
        for (let call = 0; call < 2; call++) {
          await expect(provider.encrypt({ keyId: somewhere, plaintext })).rejects.toMatchObject({
            code: "ERR_ACCESS_DENIED",
            message: expect.stringContaining("Application Default Credentials"),
            context: { hint: expect.stringContaining("gcloud auth application-default login") },
          });
        }
        expect(await provider.health({})).toMatchObject({ healthy: false });
        await provider.close();
        await nextTurn();
        await nextTurn();
        expect(unhandled).toEqual([]);
      } finally {
        process.off("unhandledRejection", note);
        rmSync(home, { recursive: true });
      }
    });

    test("a credentials file that is not there is ERR_ACCESS_DENIED too", async () => {
      const home = withoutCredentials();
      vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", join(home, "none.json"));
      const provider = createGcpKmsProvider({ transport, keyId: somewhere });
      await expect(provider.describeKey({ keyId: somewhere })).rejects.toMatchObject({
        code: "ERR_ACCESS_DENIED",
      });
      await provider.close();
      rmSync(home, { recursive: true });
    });

    test("an abort during a call rejects at once, with the reason", async () => {
      const keyId = await bench.addKey();
      bench.standIn.rules.push({ method: "encrypt", delayMs: 2000 });
      const controller = new AbortController();
      const reason = new Error("not any more");
      const provider = bench.provider({ transport });
      const call = provider.encrypt({ keyId, plaintext, signal: controller.signal });
      const startedAt = performance.now();
      setTimeout(() => controller.abort(reason), 50);
      await expect(call).rejects.toBe(reason);
      expect(performance.now() - startedAt).toBeLessThan(1500);
      await arrived(provider, keyId);
    });

    test("timeoutMs ends a call as ERR_TIMEOUT", async () => {
      const keyId = await bench.addKey();
      bench.standIn.rules.push({ method: "encrypt", delayMs: 1000 });
      const provider = bench.provider({ transport });
      const call = provider.encrypt({ keyId, plaintext, timeoutMs: 100 });
      await expect(call).rejects.toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
      await arrived(provider, keyId);
    });

    test("the SDK retries nothing; createResilientProvider does", async () => {
      const keyId = await bench.addKey();
      const provider = bench.provider({ transport });
      bench.standIn.rules.push({
        method: "encrypt",
        times: 2,
        fault: new Fault("UNAVAILABLE", ""),
      });
      await expect(provider.encrypt({ keyId, plaintext })).rejects.toMatchObject({
        code: "ERR_UNAVAILABLE",
      });
      expect(bench.count("encrypt")).toBe(1);
      const resilient = createResilientProvider(provider, { retry: { baseDelayMs: 1 } });
      await resilient.encrypt({ keyId, plaintext });
      expect(bench.count("encrypt")).toBe(3);
    });
  },
);

/** A call that was given up may reach the stand-in late, and would count for the next test: one after it has to be answered. */
async function arrived(provider: CryptoProvider, keyId: string): Promise<void> {
  await provider.describeKey({ keyId });
}

test("trap 2b.11: an abort while credentials are looked for rejects at once, with the reason", async () => {
  const client: GcpKmsClient = {
    // As a metadata server that does not answer.
    initialize: () => new Promise(() => {}),
    innerApiCalls: {},
    close: async () => {},
  };
  const provider = createGcpKmsProvider({ client });
  const controller = new AbortController();
  const reason = new Error("not any more");
  const call = provider.encrypt({ keyId: somewhere, plaintext, signal: controller.signal });
  setTimeout(() => controller.abort(reason), 20);
  await expect(call).rejects.toBe(reason);
  await provider.close();
});

test("nothing secret goes over a connection without TLS, whatever credentials there are", async () => {
  const keyId = await bench.addKey();
  const authClient = new googleAuthLibrary.PassThroughClient();
  authClient.getRequestHeaders = async () => new Headers({ authorization: "Bearer secret" });
  bench.standIn.headers.length = 0;
  await bench.provider({ authClient }).encrypt({ keyId, plaintext });
  expect(bench.standIn.headers.map(({ authorization }) => authorization)).toEqual([""]);
});

test("nor over REST", async () => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(404, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const authClient = new googleAuthLibrary.OAuth2Client();
  authClient.setCredentials({ access_token: "secret", expiry_date: Date.now() + 3_600_000 });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = createGcpKmsProvider({ endpoint, transport: "rest", authClient });
  await expect(provider.encrypt({ keyId: somewhere, plaintext })).rejects.toBeDefined();
  expect(seen).toContain(undefined);
  expect(seen).not.toContain("Bearer secret");
  await provider.close();
  server.closeAllConnections();
  server.close();
});

test("a provider that is printed shows no credential", async () => {
  const keyId = await bench.addKey();
  const authClient = new googleAuthLibrary.PassThroughClient();
  authClient.credentials = { access_token: "S3cret" };
  const provider = bench.provider({ authClient });
  await provider.encrypt({ keyId, plaintext });
  expect(inspect(provider, { depth: 9, showHidden: true })).not.toContain("S3cret");
});

test("a client from outside is used as it is, and stays open", async () => {
  const keyId = await bench.addKey();
  const client = new KeyManagementServiceClient({
    apiEndpoint: "127.0.0.1",
    port: Number(new URL(bench.standIn.grpcUrl).port),
    sslCreds: grpc.credentials.createInsecure(),
    authClient: new googleAuthLibrary.PassThroughClient(),
  });
  const provider = createGcpKmsProvider({ client });
  const { ciphertext } = await provider.encrypt({ keyId, plaintext });
  expect(await provider.decrypt({ keyId, ciphertext })).toEqual(plaintext);
  await provider.close();
  await expect(provider.describeKey({ keyId })).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect((await client.getCryptoKey({ name: keyId }))[0].name).toBe(keyId);
  await client.close();
});

test("the SDK's log, which its own methods write requests to, gets nothing", () => {
  const program = `
    import { createGcpKmsProvider } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url))};
    const provider = createGcpKmsProvider({ endpoint: "http://127.0.0.1:1" });
    const plaintext = new TextEncoder().encode("S3cret");
    await provider.encrypt({ keyId: "${somewhere}", plaintext }).catch((error) => console.log(error.code));
    await provider.close();
  `;
  const args = ["--conditions=@lango/source", "--input-type=module", "-e", program];
  const env = { ...process.env, GOOGLE_SDK_NODE_LOGGING: "*" };
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  expect(stdout, stderr).toBe("ERR_UNAVAILABLE\n");
  expect(stderr).not.toMatch(/encrypt request|UzNjcmV0|83,51|"0":83/);
});

test.each(["grpc", "rest"] as const)(
  "a certificate that is not trusted is no outage to wait for, over %s",
  async (transport) => {
    const server = createSecureServer(makeCertificate(), (_request, response) => response.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const authClient = new googleAuthLibrary.OAuth2Client();
    authClient.setCredentials({ access_token: "token", expiry_date: Date.now() + 3_600_000 });
    const { port } = server.address() as AddressInfo;
    const endpoint = `https://127.0.0.1:${port}`;
    const provider = bench.provider({ endpoint, transport, authClient });
    await expect(provider.encrypt({ keyId: somewhere, plaintext })).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: expect.stringContaining("certificate"),
      retryable: false,
    });
  },
);
