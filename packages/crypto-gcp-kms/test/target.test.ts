import { fileURLToPath } from "node:url";
import { CHECKS, runChecks } from "@lango/crypto-conformance";
import { expect, test } from "vitest";
import { startServer } from "../../../tooling/services/server.ts";
import { createHarness, parseTarget } from "./target.ts";

const ring = "projects/lango-test/locations/global/keyRings/elsewhere";

test("LANGO_TEST_GCP_KMS names a server without TLS, or the real service", () => {
  expect(parseTarget(`grpc://127.0.0.1:9090/${ring}`)).toEqual({
    endpoint: "http://127.0.0.1:9090",
    keyRing: ring,
  });
  expect(parseTarget(`gcp:${ring}`)).toEqual({ keyRing: ring });
  for (const text of ["", ring, `http://127.0.0.1:9090/${ring}`]) {
    expect(() => parseTarget(text)).toThrow(/names no server/);
  }
});

test("what it names is used: checks against the stand-in in a process of its own", async () => {
  const main = fileURLToPath(new URL("stand-in/main.ts", import.meta.url));
  const server = await startServer({
    program: process.execPath,
    args: (port) => ["--conditions=@lango/source", main, String(port)],
  });
  try {
    const target = parseTarget(`grpc://127.0.0.1:${server.port}/${ring}`);
    const checks = CHECKS.filter(({ name }) =>
      /^(encrypt|aad|rotateKey|describeKey|mac hmac)/.test(name),
    );
    const { results } = await runChecks(await createHarness(target), { checks });
    const failed = results.filter(({ outcome }) => outcome !== "passed");
    expect(failed).toEqual([]);
    expect(results.length).toBeGreaterThan(20);
  } finally {
    await server.stop();
  }
});
