import { describeProvider } from "@lango/crypto-conformance/vitest";
import { afterAll } from "vitest";
import { startStandIn } from "./stand-in/server.ts";
import { createHarness, parseTarget } from "./target.ts";

const keyRing = "projects/lango-test/locations/europe-west1/keyRings/suite";
const named = process.env["LANGO_TEST_GCP_KMS"];

if (named === undefined) {
  // No independent server can be had here, so what these two show is not counted: see the README.
  const standIn = await startStandIn();
  afterAll(() => standIn.stop());
  describeProvider("gcp-kms on stand-in (own, not counted)", () =>
    createHarness({ endpoint: standIn.grpcUrl, keyRing }),
  );
  describeProvider("gcp-kms on stand-in over REST (own, not counted)", () =>
    createHarness(
      { endpoint: standIn.grpcUrl, keyRing },
      { transport: "rest", endpoint: standIn.restUrl },
    ),
  );
} else {
  const target = parseTarget(named);
  const server = target.endpoint === undefined ? "Google Cloud" : named;
  describeProvider(`gcp-kms on ${server}`, () => createHarness(target));
}
