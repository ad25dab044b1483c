import { randomUUID } from "node:crypto";
import type { Peers } from "@lango/companion";
import type { CheckResult, Harness } from "@lango/crypto-conformance";
import { CryptoError } from "@lango/crypto-core";
import {
  createLocalProvider,
  generateKeyMaterial,
  type LocalKey,
  type LocalKeyAlgorithm,
} from "@lango/crypto-local";
import type { Arguments } from "../cli/arguments.ts";
import { liveHarness } from "../cli/check-harness.ts";
import type { Handler, Result } from "../cli/command.ts";
import { unverifiedPeers } from "../cli/companion-peers.ts";
import type { Context } from "../cli/context.ts";
import { table } from "../cli/output.ts";
import { makeProvider } from "../cli/providers.ts";
import { withVault } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";

/**
 * Runs the conformance checks on a provider: on `local` with keys that exist for these checks alone, on any other as it is
 * configured, with the keys that are named. A check that has no key is not applicable, and says which one it needs.
 */
export const run: Handler = async (context, args) => {
  const [scheme = ""] = args.positional("URI").split(":");
  if (scheme === "local") return check(context, scheme, localHarness());
  // The pins of companions are in the vault; other providers need nothing of it.
  if (scheme === "rpc") {
    return withVault(context, args, {}, async ({ companions }) =>
      check(context, scheme, await remoteHarness(context, args, scheme, companions)),
    );
  }
  const peers = unverifiedPeers(context);
  return check(context, scheme, await remoteHarness(context, args, scheme, peers));
};

async function check(context: Context, scheme: string, harness: Harness): Promise<Result> {
  const { runChecks } = await import("../cli/conformance.ts");
  const report = await runChecks(harness, {
    onResult: ({ outcome, name }) => {
      if (context.verbose) context.note(`${outcome} ${name}`);
    },
  });
  const failed = report.results.filter(({ outcome }) => outcome === "failed").length;
  return {
    data: {
      provider: scheme,
      ok: report.ok,
      openssl: report.openssl ?? null,
      checks: report.results.map(({ error: _, ...result }) => result),
    },
    text: `${table(["CHECK", "OUTCOME", "MS", "REASON"], report.results.map(toRow))}\n${summary(report.results)}`,
    ...(report.ok
      ? {}
      : {
          failure: new CryptoError(
            "ERR_INTEGRITY",
            `${failed} ${failed === 1 ? "check" : "checks"} of ${scheme} failed`,
          ),
        }),
  };
}

async function remoteHarness(
  context: Context,
  args: Arguments,
  scheme: string,
  peers: Peers,
): Promise<Harness> {
  const { security } = await loadConfig(context.home);
  const provider = await makeProvider(context, scheme, security, peers);
  try {
    return await liveHarness(provider, args, (keyId) => context.note(`created ${scheme}:${keyId}`));
  } catch (error) {
    await provider.close();
    throw error;
  }
}

/** Such as `84 passed, 6 refused, 1 not-applicable`. */
const summary = (results: readonly CheckResult[]): string =>
  Object.entries(Object.groupBy(results, ({ outcome }) => outcome))
    .map(([outcome, found]) => `${found.length} ${outcome}`)
    .join(", ");

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
