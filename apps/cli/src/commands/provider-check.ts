import { randomUUID } from "node:crypto";
import { type CheckResult, type Harness, runChecks } from "@lango/crypto-conformance";
import { CryptoError, loadProvider } from "@lango/crypto-core";
import {
  createLocalProvider,
  generateKeyMaterial,
  type LocalKey,
  type LocalKeyAlgorithm,
} from "@lango/crypto-local";
import type { Handler } from "../cli/command.ts";
import { table } from "../cli/output.ts";
import { importProvider, installCommand } from "../cli/provider-packages.ts";

/** Runs the conformance checks on a provider. For `local` on keys that exist for these checks alone. */
export const run: Handler = async (context, args) => {
  const [scheme = ""] = args.positional("URI").split(":");
  if (scheme !== "local") {
    await loadProvider(scheme, {
      import: (specifier) => importProvider(specifier, context.home),
      installHint: (packageName) => installCommand(packageName, context.home),
    });
    throw new CryptoError("ERR_UNSUPPORTED", `This version of lango checks local keys only`);
  }
  const report = await runChecks(localHarness());
  const failed = report.results.filter(({ outcome }) => outcome === "failed").length;
  return {
    data: {
      provider: scheme,
      ok: report.ok,
      openssl: report.openssl ?? null,
      checks: report.results.map(({ error: _, ...result }) => result),
    },
    text: table(["CHECK", "OUTCOME", "MS", "REASON"], report.results.map(toRow)),
    ...(report.ok
      ? {}
      : { failure: new CryptoError("ERR_INTEGRITY", `${failed} checks of ${scheme} failed`) }),
  };
};

const toRow = ({ name, outcome, durationMs, reason }: CheckResult): string[] => [
  name,
  outcome,
  durationMs.toFixed(1),
  reason ?? "",
];

function localHarness(): Harness {
  const key = (
    id: string,
    algorithm: LocalKeyAlgorithm,
    state: "enabled" | "disabled" = "enabled",
  ): LocalKey => ({
    id,
    algorithm,
    versions: [{ version: 1, material: generateKeyMaterial(algorithm), state }],
  });
  return {
    provider: createLocalProvider({
      keys: [
        key("first", "aes-256-gcm"),
        key("second", "aes-256-gcm"),
        key("rotatable", "aes-256-gcm"),
        key("disabled", "aes-256-gcm", "disabled"),
        key("hmac-sha256", "hmac-sha256"),
        key("hmac-sha384", "hmac-sha384"),
        key("hmac-sha512", "hmac-sha512"),
        key("p256", "ecdsa-p256"),
        key("p384", "ecdsa-p384"),
        key("k1", "secp256k1"),
        key("ed25519", "ed25519"),
      ],
    }),
    keys: {
      missing: "missing",
      aead: ["first", "second"],
      signing: {
        "ecdsa-p256-sha256": "p256",
        "ecdsa-p384-sha384": "p384",
        "ecdsa-secp256k1-sha256": "k1",
        ed25519: "ed25519",
      },
      mac: {
        "hmac-sha256": "hmac-sha256",
        "hmac-sha384": "hmac-sha384",
        "hmac-sha512": "hmac-sha512",
      },
      disabled: "disabled",
      rotatable: "rotatable",
      fresh: () => randomUUID(),
    },
  };
}
