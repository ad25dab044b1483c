import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** The vector files of this package; `vectors/README.md` names their sources. */
export type VectorName =
  | "wycheproof/aes_gcm_test"
  | "wycheproof/ecdsa_secp256k1_sha256_p1363_test"
  | "wycheproof/ecdsa_secp256r1_sha256_p1363_test"
  | "wycheproof/ecdsa_secp384r1_sha384_p1363_test"
  | "wycheproof/ed25519_test"
  | "wycheproof/hkdf_sha256_test"
  | "wycheproof/hmac_sha256_test"
  | "wycheproof/hmac_sha384_test"
  | "wycheproof/hmac_sha512_test"
  | "wycheproof/pbkdf2_hmacsha256_test"
  | "rfc/rfc6979_ecdsa"
  | "rfc/rfc9106_argon2id";

/** What every case has; the other fields are those of its file, byte strings in hexadecimal. */
export interface VectorCase {
  readonly tcId: number;
  readonly comment: string;
  /** `acceptable`: implementations may differ. */
  readonly result: "valid" | "invalid" | "acceptable";
}

/**
 * Reads a vector file.
 *
 * @returns Its cases, each with the fields of its group (sizes in bits, `publicKeyDer`) added.
 */
export function readVectors<T>(name: VectorName): (VectorCase & T)[] {
  const text = readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8");
  const file: { testGroups: { tests: object[] }[]; numberOfTests: number } = JSON.parse(text);
  const cases = file.testGroups.flatMap(({ tests, ...group }) =>
    tests.map((test) => ({ ...group, ...test }) as VectorCase & T),
  );
  assert.equal(cases.length, file.numberOfTests, `${name} does not hold all of its cases`);
  return cases;
}

/** How {@link runVectors} treats the cases of a file. */
export interface VectorRun<T> {
  /** Says why a case cannot be run here. Default: every case is run. */
  readonly leaveOut?: (vector: VectorCase & T) => string | undefined;
  /** Rejects if the case fails. */
  readonly run: (vector: VectorCase & T) => void | Promise<void>;
}

/**
 * Runs the cases of a vector file and prints how many, and which were left out for which reason.
 *
 * @returns The number of cases that were run.
 * @throws `AssertionError` that names every case that failed; or if every case was left out.
 */
export async function runVectors<T>(
  name: VectorName,
  { leaveOut, run }: VectorRun<T>,
): Promise<number> {
  const vectors = readVectors<T>(name);
  const leftOut = new Map<string, number[]>();
  const failed: string[] = [];
  let count = 0;
  for (const vector of vectors) {
    const { tcId, comment } = vector;
    const reason = leaveOut?.(vector);
    if (reason !== undefined) {
      leftOut.set(reason, [...(leftOut.get(reason) ?? []), tcId]);
      continue;
    }
    count++;
    try {
      await run(vector);
    } catch (error) {
      failed.push(`${tcId} (${comment}): ${error instanceof Error ? error.message : error}`);
    }
  }
  const lines = [...leftOut].map(
    ([reason, ids]) => `\n  left out, ${reason}: ${ids.length} (${ranges(ids)})`,
  );
  console.log(`${name}: ${count} of ${vectors.length} run${lines.join("")}`);
  assert.ok(failed.length === 0, `${name}: ${failed.length} failed: ${failed.join("; ")}`);
  assert.ok(count > 0, `${name}: every case was left out`);
  return count;
}

/** Ascending numbers as `1–3, 7`. */
function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const number of numbers) {
    const last = parts.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
}
