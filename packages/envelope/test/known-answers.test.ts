import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type CryptoProvider, createAesKey, openAesGcm } from "@lango/crypto-core";
import {
  createDataKey,
  hkdf,
  jcs,
  open,
  openSlot,
  openStream,
  openValue,
  parseJsonStrict,
  parseKeyslots,
  parts,
  sealValue,
  verifyKeyslots,
} from "@lango/envelope";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { createStreamSealer } from "../src/stream.ts";
import { allVectors, vectorsText } from "./known-answers/all.ts";
import type { aadVectors, hkdfVectors, jcsVectors } from "./known-answers/encodings.ts";
import type { KeyslotsVectors } from "./known-answers/keyslots.ts";
import type { Lng1Vector } from "./known-answers/lng1.ts";
import type { LngrVector } from "./known-answers/lngr.ts";
import type { LngsVector } from "./known-answers/lngs.ts";
import { localKeys } from "./providers.ts";
import { codeOf, cut, hex, pattern, text, through, toHex } from "./support.ts";

const FOLDER = fileURLToPath(new URL("../../../docs/vectors", import.meta.url));
const read = (name: string): string => readFileSync(path.join(FOLDER, `${name}.json`), "utf8");
const vectors = <T>(name: string): T => JSON.parse(read(name)) as T;

describe("docs/vectors", () => {
  it("are what the sources make: write them again with known-answers/write.ts", async () => {
    for (const [name, made] of Object.entries(await allVectors())) {
      expect(read(name), name).toBe(vectorsText(made));
    }
  });
});

describe("lng1.json", () => {
  it.each(vectors<Lng1Vector[]>("lng1"))("$name", async (vector) => {
    const key = createDataKey(hex(vector.key), hex(vector.id));
    const run = () => openValue(key, hex(vector.sealed), hex(vector.aad));
    if (vector.error !== undefined) expect(await codeOf(run)).toBe(vector.error);
    else expect(toHex(run())).toBe(vector.plaintext);
  });
});

describe("lngs.json", () => {
  it.each(vectors<LngsVector[]>("lngs"))("$name", async (vector) => {
    const key = createDataKey(hex(vector.key), hex(vector.id));
    const plaintext = pattern(vector.patternBytes);
    const { header, machine } = createStreamSealer(key, hex(vector.aad), hex(vector.salt));
    const body = Buffer.concat([...machine.push(plaintext), ...machine.end()]);
    const segment = (number: number) => body.subarray(number * 65_552, (number + 1) * 65_552);
    const chosen = vector.segments?.map(segment) ?? [body];
    const whole = Buffer.concat([header, ...chosen, hex(vector.append ?? "")]);
    const sealed = whole.subarray(0, whole.length - (vector.cut ?? 0));
    if (vector.flip !== undefined) sealed[vector.flip]! ^= 1;
    const aad = hex(vector.openAad ?? vector.aad);
    const run = () => through(openStream(key, aad), cut(sealed, [3, 90, 70_000, 131_160]));
    if (vector.error !== undefined) expect(await codeOf(run)).toBe(vector.error);
    else expect(Buffer.compare(await run(), plaintext)).toBe(0);
  });
});

describe("lngr.json", () => {
  const unwrapping = (entry: LngrVector["known"][number]): CryptoProvider => {
    const provider = localKeys();
    return {
      ...provider,
      capabilities: { ...provider.capabilities, wrapAad: entry.wrapAad },
      unwrapKey: async ({ wrappedKey, aad }) =>
        openAesGcm(
          createAesKey(hex(entry.kek)),
          wrappedKey.subarray(0, 12),
          aad ?? hex(""),
          wrappedKey.subarray(12),
        ),
    };
  };

  it.each(vectors<LngrVector[]>("lngr"))(
    "$name",
    async ({ known, sealed, aad, error, plaintext }) => {
      const run = () =>
        open({
          sealed: hex(sealed),
          aad: hex(aad),
          resolve: async (uri) => {
            const entry = known.find((each) => each.uri === uri);
            return entry && { provider: unwrapping(entry), keyId: uri };
          },
        });
      if (error !== undefined) expect(await codeOf(run)).toBe(error);
      else expect(toHex(await run())).toBe(plaintext);
    },
  );
});

describe("keyslots.json", () => {
  const { vaultKey, secrets, file, bad } = vectors<KeyslotsVectors>("keyslots");

  it("opens every slot", async () => {
    const keyslots = parseKeyslots(text(file));
    expect(keyslots.slots.map(({ kind }) => kind)).toEqual([
      "passphrase",
      "passphrase",
      "recovery",
      "master-key-file",
      "env",
      "keyring",
      "provider",
    ]);
    for (const slot of keyslots.slots) {
      expect(toHex(await openSlot(keyslots, slot, hex(secrets[slot.id]!)))).toBe(vaultKey);
    }
  });

  it.each(bad)("$name", async (vector) => {
    const bytes = text(vector.file + " ".repeat(vector.spaces ?? 0));
    expect(await codeOf(() => verifyKeyslots(hex(vaultKey), parseKeyslots(bytes)))).toBe(
      vector.error,
    );
  });
});

describe("aad.json, hkdf.json, jcs.json", () => {
  it.each(vectors<ReturnType<typeof aadVectors>>("aad"))("AAD: $name", (vector) => {
    expect(toHex(parts(...vector.parts.map(hex)))).toBe(vector.bytes);
  });

  it.each(vectors<ReturnType<typeof hkdfVectors>>("hkdf"))("HKDF: $name", (vector) => {
    const { key, salt, info, output } = vector;
    expect(toHex(hkdf(hex(key), hex(salt), hex(info), output.length / 2))).toBe(output);
  });

  const { good, bad } = vectors<ReturnType<typeof jcsVectors>>("jcs");
  it.each(good)("JCS: $name", ({ json, canonical }) => {
    expect(jcs(parseJsonStrict(json, { maxBytes: 10_000 }))).toBe(canonical);
    expect(jcs(parseJsonStrict(canonical, { maxBytes: 10_000 }))).toBe(canonical);
  });
  it.each(bad)("strict JSON: $name", async ({ json, error }) => {
    expect(await codeOf(() => parseJsonStrict(json, { maxBytes: 10_000 }))).toBe(error);
  });
});

describe("the second reader, in Python", () => {
  let copy: string;
  beforeAll(() => {
    copy = mkdtempSync(path.join(tmpdir(), "lango vectors-"));
    cpSync(FOLDER, copy, { recursive: true });
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));
  const verify = (folder: string, ...files: string[]) =>
    spawnSync(requireService("python3"), [path.join(folder, "verify.py"), ...files], {
      encoding: "utf8",
    });

  it("opens what is valid and refuses what is not", { timeout: 120_000 }, () => {
    const { status, stdout, stderr } = verify(FOLDER);
    process.stdout.write(stdout);
    expect(stderr).toBe("");
    expect(status, stdout).toBe(0);
    for (const name of ["aad", "hkdf", "jcs", "keyslots", "lng1", "lngr", "lngs"]) {
      expect(stdout).toMatch(new RegExp(`^${name}\\.json: [1-9][0-9]*/[1-9][0-9]*$`, "m"));
    }
  });

  it("opens what is sealed here and now, with random nonces", { timeout: 120_000 }, () => {
    const [key, id, aad] = [pattern(32, 3), pattern(12, 4), text("now")];
    const fresh = [0, 1, 1_000].map((size) => ({
      name: `${size} bytes`,
      key: toHex(key),
      id: toHex(id),
      aad: toHex(aad),
      plaintext: toHex(pattern(size)),
      sealed: toHex(sealValue(createDataKey(key, id), pattern(size), aad)),
    }));
    const withNonces = fresh.map((vector) => ({ ...vector, nonce: vector.sealed.slice(104, 128) }));
    writeFileSync(path.join(copy, "lng1.json"), JSON.stringify(withNonces));
    const { status, stdout } = verify(copy, "lng1.json");
    expect(stdout).toBe("lng1.json: 3/3\n");
    expect(status).toBe(0);
  });

  it("has teeth: it fails when a vector is wrong", { timeout: 120_000 }, () => {
    const [first, ...rest] = vectors<Lng1Vector[]>("lng1");
    const { error: _, ...pretending } = rest.at(-1)!;
    for (const wrong of [
      [{ ...first, aad: "00" }],
      [{ ...first, error: "ERR_DECRYPTION_FAILED" }],
      [{ ...pretending, plaintext: "", nonce: toHex(pattern(12)) }],
    ]) {
      writeFileSync(path.join(copy, "lng1.json"), JSON.stringify(wrong));
      const { status, stdout } = verify(copy, "lng1.json");
      expect(status).toBe(1);
      expect(stdout).toContain("FAILED");
    }
  });
});
