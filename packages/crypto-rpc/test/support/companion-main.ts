// A companion in a process of its own: `node companion-main.ts` with its settings as JSON in the only argument. It answers
// without asking anybody, but for a key of `asks`. It ends with its standard input; a line of that is the id of a device to revoke.
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import {
  connectChannel,
  createChannelListener,
  createSigner,
  loadIdentity,
  type MethodName,
  memoryResults,
} from "@lango/companion";
import { type CryptoProvider, type SignRequest, toHex } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import { createReference } from "../../../crypto-conformance/test/reference-provider.ts";
import type { CompanionSettings } from "./companion.ts";
import { fileResults } from "./file-results.ts";
import { readKeys } from "./keys.ts";
import { peersOf } from "./pins.ts";

const settings: CompanionSettings = JSON.parse(process.argv[2]!);
const { name, folder, usesFile, delayMs = 0, asks } = settings;

/** Every method, and nobody is asked. */
const METHODS: readonly MethodName[] = [
  ...(["encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "mac"] as const),
  ...(["getPublicKey", "listKeys", "status"] as const),
];

/** Keys of the local provider; RSA keys, which it has not, come from the reference of the conformance suite. */
const withRsa = (local: CryptoProvider): CryptoProvider => {
  const { provider } = createReference();
  const of = ({ keyId }: { readonly keyId: string }) =>
    (keyId.startsWith("rsa-") ? provider : local) as Required<CryptoProvider>;
  return {
    ...local,
    capabilities: {
      ...local.capabilities,
      signatureAlgorithms: provider.capabilities.signatureAlgorithms,
    },
    sign: (request) => of(request).sign(request),
    getPublicKey: (request) => of(request).getPublicKey(request),
    describeKey: (request) => of(request).describeKey(request),
    async *listKeys(request) {
      yield* local.listKeys!(request);
      for await (const key of provider.listKeys!(request))
        if (key.keyId.startsWith("rsa-")) yield key;
    },
  };
};

/** Notes every signature before it is made: a line with what was signed. */
const counted = (keys: CryptoProvider): CryptoProvider => ({
  ...keys,
  sign: async (request: SignRequest) => {
    if (delayMs > 0) await sleep(delayMs);
    if (usesFile !== undefined) {
      appendFileSync(usesFile, `${toHex(request.digest ?? request.message)}\n`);
    }
    return await keys.sign!(request);
  },
});

const makeKeys = async (): Promise<CryptoProvider> => {
  if (settings.pkcs11 === undefined) {
    return withRsa(createLocalProvider({ keys: readKeys(settings.keysFile!) }));
  }
  const { createPkcs11Provider } = await import("../../../crypto-pkcs11/src/index.ts");
  const { pin, ...rest } = settings.pkcs11;
  return await createPkcs11Provider({ ...rest, pin: Buffer.from(pin) });
};

const identity = await loadIdentity({ folder, name });
const peers = peersOf(settings.pins);
const handler = createSigner({
  keys: counted(await makeKeys()),
  name,
  results: settings.resultsFile === undefined ? memoryResults() : fileResults(settings.resultsFile),
  policy: {
    rules: [
      ...(asks === undefined ? [] : [{ methods: ["sign"], key: asks.keyId, ask: true } as const]),
      { methods: METHODS, ask: false },
    ],
  },
  prompter: asks && { ask: () => sleep(asks.ms, true) },
});
const device = { role: "companion", identity, peers, handler } as const;

createInterface({ input: process.stdin })
  .on("line", (id) => peers.revoke(id))
  .on("close", () => process.exit());

if (settings.dial === undefined) {
  const { port } = await createChannelListener(device).listen(settings.listen);
  process.stdout.write(`${port}\n`);
} else {
  // As a companion would: whenever the connection is gone, it comes back.
  for (let first = true; ; first = false) {
    const channel = await connectChannel({ ...device, url: settings.dial }).catch(() => undefined);
    if (first) process.stdout.write("0\n");
    await (channel?.closed ?? sleep(50));
  }
}
