import { execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { fingerprintOf, loadIdentity } from "../src/index.ts";
import { expectCode } from "./support/expect-code.ts";

const DAY_MS = 86_400_000;

const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "lango-identity-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "agent");
};

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test("is made once: a self-signed P-256 certificate of ten years, for its owner alone", async () => {
  const folder = newFolder();
  const now = Date.UTC(2027, 0, 1);
  const made = await loadIdentity({ folder, name: "Zoë’s\u001b[31m laptop", clock: () => now });
  expect(await loadIdentity({ folder, name: "other" })).toEqual(made);
  expect(readdirSync(folder).sort()).toEqual(["identity.crt", "identity.key"]);
  expect(["", "identity.key", "identity.crt"].map((name) => modeOf(join(folder, name)))).toEqual([
    "700",
    "600",
    "600",
  ]);
  const certificate = new X509Certificate(made.certificate);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.issuer).toBe(certificate.subject);
  expect(certificate.subject).toBe("CN=Zoë’s laptop");
  expect(certificate.ca).toBe(false);
  expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
  expect(certificate.validFromDate.getTime()).toBe(now - DAY_MS);
  expect(certificate.validToDate.getTime()).toBe(made.notAfter);
  expect(made.notAfter).toBe(now + 3650 * DAY_MS);
  expect(made.fingerprint).toMatch(/^[\w-]{43}$/);
  expect(fingerprintOf(made.certificate)).toBe(made.fingerprint);
  expect(fingerprintOf(made.certificate)).not.toBe(
    fingerprintOf((await loadIdentity({ folder: newFolder(), name: "x" })).certificate),
  );
});

test.for(["#0403020100", 'a=b, c+d;e"f\\', "携帯 📱", ""])(
  "any name stays text: %s",
  async (name) => {
    const { certificate } = await loadIdentity({ folder: newFolder(), name });
    const subject = new X509Certificate(certificate).toLegacyObject().subject;
    expect(subject.CN).toBe(name || "unnamed");
  },
);

test("the fingerprint is what OpenSSL gives for the public key", async () => {
  const folder = newFolder();
  const { fingerprint } = await loadIdentity({ folder, name: "x" });
  const certificate = join(folder, "identity.crt");
  const pem = execFileSync("openssl", ["x509", "-in", certificate, "-noout", "-pubkey"]);
  const der = execFileSync("openssl", ["pkey", "-pubin", "-outform", "der"], { input: pem });
  const digest = execFileSync("openssl", ["dgst", "-sha256", "-binary"], { input: der });
  expect(digest.toString("base64url")).toBe(fingerprint);
});

test("two of one process and four processes at once get the same one", async () => {
  const folder = newFolder();
  const script = join(import.meta.dirname, "scripts", "identity.ts");
  const flags = ["--conditions=@lango/source", "--no-warnings", script, folder];
  const children = [0, 1, 2, 3].map(async () => {
    const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (data) => {
      output += String(data);
    });
    await once(child, "close");
    return output.trim();
  });
  const own = [0, 1].map(() => loadIdentity({ folder, name: "x" }));
  const first = await own[0];
  expect(await own[1]).toEqual(first);
  const seen = await Promise.all(children);
  expect(seen).toEqual(Array(4).fill(`${first?.fingerprint} ${first?.notAfter}`));
  expect(readdirSync(folder)).toHaveLength(2);
});

describe("is never replaced in silence", () => {
  const made = async (): Promise<{ folder: string; key: string; certificate: string }> => {
    const folder = newFolder();
    await loadIdentity({ folder, name: "x" });
    return { folder, key: join(folder, "identity.key"), certificate: join(folder, "identity.crt") };
  };
  const refuses = async (
    folder: string,
    code: "ERR_INTEGRITY" | "ERR_CONFIG",
    clock = Date.now,
  ): Promise<string> => {
    const before = readdirSync(folder).map((name) => statSync(join(folder, name)).mtimeMs);
    const error = await expectCode(() => loadIdentity({ folder, name: "x", clock }), code);
    expect(error.message).toContain(folder);
    const after = readdirSync(folder).map((name) => statSync(join(folder, name)).mtimeMs);
    expect(after).toEqual(before);
    return error.context?.hint ?? "";
  };

  test.for<[string, (text: string) => string]>([
    ["empty", () => ""],
    ["cut", (text) => text.slice(0, text.length / 2)],
    ["another text", () => "hello"],
    ["too large", (text) => text.padEnd(20_000)],
  ])("%s", async ([, damage]) => {
    const one = await made();
    const pem = readFileSync(one.key, "utf8");
    writeFileSync(one.key, damage(pem));
    const error = await expectCode(
      () => loadIdentity({ folder: one.folder, name: "x" }),
      "ERR_INTEGRITY",
    );
    expect(`${error.message}${error.stack}${String(error.cause)}`).not.toContain(
      pem.split("\n")[1],
    );
    const two = await made();
    writeFileSync(two.certificate, damage(readFileSync(two.certificate, "utf8")));
    await refuses(two.folder, "ERR_INTEGRITY");
  });

  test("a key and a certificate that do not fit, a certificate alone, a key of another kind", async () => {
    const [one, two] = [await made(), await made()];
    copyFileSync(one.certificate, two.certificate);
    expect(await refuses(two.folder, "ERR_INTEGRITY")).toMatch(/pair every device again/);
    rmSync(two.key);
    await refuses(two.folder, "ERR_INTEGRITY");
    const { privateKey } = (await import("node:crypto")).generateKeyPairSync("ed25519");
    writeFileSync(one.key, privateKey.export({ type: "pkcs8", format: "pem" }));
    await refuses(one.folder, "ERR_INTEGRITY");
  });

  test("open to others: a file, the folder", async () => {
    const one = await made();
    chmodSync(one.key, 0o640);
    expect(await refuses(one.folder, "ERR_CONFIG")).toContain("chmod 600");
    chmodSync(one.key, 0o600);
    chmodSync(one.certificate, 0o604);
    await refuses(one.folder, "ERR_CONFIG");
    chmodSync(one.certificate, 0o600);
    chmodSync(one.folder, 0o750);
    expect(await refuses(one.folder, "ERR_CONFIG")).toContain("chmod 700");
  });

  test("something else in a file's place", async () => {
    const one = await made();
    rmSync(one.key);
    mkdirSync(one.key);
    chmodSync(one.key, 0o700);
    await refuses(one.folder, "ERR_CONFIG");
    const two = await made();
    rmSync(two.certificate);
    symlinkSync("nowhere", two.certificate);
    await expect(loadIdentity({ folder: two.folder, name: "x" })).rejects.toThrow();
    const file = newFolder();
    writeFileSync(file, "");
    await expectCode(() => loadIdentity({ folder: file, name: "x" }), "ERR_CONFIG");
  });

  test("expired: the certificate may be made anew, and the pin stays", async () => {
    const one = await made();
    const later = () => Date.now() + 3651 * DAY_MS;
    const { fingerprint } = await loadIdentity({ folder: one.folder, name: "x" });
    expect(await refuses(one.folder, "ERR_CONFIG", later)).toContain(one.certificate);
    rmSync(one.certificate);
    const mended = await loadIdentity({ folder: one.folder, name: "x", clock: later });
    expect(mended.fingerprint).toBe(fingerprint);
    expect(mended.notAfter).toBeGreaterThan(later());
  });
});

test("what is no certificate has no fingerprint", async () => {
  await expectCode(() => fingerprintOf(new Uint8Array(10)), "ERR_INVALID_ARGUMENT");
});

test("importing the package, and loading an identity that is there, loads no x509", async () => {
  const folder = newFolder();
  await loadIdentity({ folder, name: "x" });
  const script = join(import.meta.dirname, "scripts", "loaded-modules.ts");
  const flags = ["--conditions=@lango/source", "--no-warnings", script, folder];
  const loaded = execFileSync(process.execPath, flags, { encoding: "utf8" });
  expect(loaded).toContain("companion/src/index.ts");
  expect(loaded).not.toMatch(/x509|reflect-metadata|uqr/);
});
