import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { generateKeyMaterial, provider } from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "lango-key-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

function keyFile(name: string, content: Uint8Array, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const create = (config: unknown) => provider.create(provider.configSchema.parse(config), {});

test("opens with every version, encrypts with the last", async () => {
  const first = keyFile("first", generateKeyMaterial("aes-256-gcm"));
  const second = keyFile("second", generateKeyMaterial("aes-256-gcm"), 0o400);
  const key = (...files: string[]) => ({ keys: { data: { algorithm: "aes-256-gcm", files } } });
  const old = await create(key(first));
  const plaintext = Uint8Array.of(1, 2, 3);
  const { ciphertext } = await old.encrypt({ keyId: "data", plaintext });
  const rotated = await create(key(first, second));
  expect(await rotated.decrypt({ keyId: "data", ciphertext })).toEqual(plaintext);
  expect((await rotated.encrypt({ keyId: "data", plaintext })).keyVersion).toBe("2");
});

test("creates and rotates nothing: the keys would be gone with the process", async () => {
  const { createKey, rotateKey, capabilities } = await create({ keys: {} });
  expect([createKey, rotateKey]).toEqual([undefined, undefined]);
  expect(capabilities.operations).not.toContain("createKey");
  expect(capabilities.keyAlgorithms).toEqual([]);
});

test.each([
  ["open to others", () => keyFile("open", new Uint8Array(32).fill(1), 0o640), /mode 0640/],
  ["too short", () => keyFile("short", new Uint8Array(31)), /has 31 bytes, not 32/],
  ["with a newline", () => keyFile("long", new Uint8Array(33)), /has 33 bytes, not 32/],
  ["missing", () => join(folder, "nothing"), /ENOENT/],
  ["a folder", () => folder, /no regular file/],
])("a key file that is %s is ERR_CONFIG", async (_, path, message) => {
  const config = { keys: { k: { algorithm: "aes-256-gcm", files: [path()] } } };
  const failed = expect(Promise.resolve(config).then(create)).rejects;
  await failed.toMatchObject({ code: "ERR_CONFIG", message: expect.stringMatching(message) });
});

test.skipIf(process.platform === "win32")("a named pipe is refused at once", () => {
  const path = join(folder, "pipe");
  spawnSync("mkfifo", ["-m", "600", path]);
  // In a process of its own: opening a pipe to which nobody writes would block this one.
  const program = `
    import { provider } from "@lango/crypto-local";
    provider.create({ keys: { k: { algorithm: "aes-256-gcm", files: [process.argv[1]] } } }, {});`;
  const options = ["--conditions=@lango/source", "--input-type=module", "--eval", program, path];
  const { signal, stderr } = spawnSync(process.execPath, options, {
    cwd: import.meta.dirname,
    encoding: "utf8",
    timeout: 20_000,
  });
  expect({ signal, stderr }).toEqual({
    signal: null,
    stderr: expect.stringContaining("no regular file"),
  });
});

test("a file whose bytes are no scalar of the curve names no byte of it", async () => {
  const path = keyFile("zero", new Uint8Array(32));
  const config = { keys: { k: { algorithm: "ecdsa-p256", files: [path] } } };
  await expect(Promise.resolve(config).then(create)).rejects.toThrow(/1 to the curve's order/);
});

test("every fault of the configuration is named with its path", () => {
  const config = {
    mode: "fast",
    keys: {
      a: { algorithm: "rsa-2048", files: ["/k"] },
      b: { algorithm: "ed25519", files: ["k"], material: "AAAA" },
      c: "key",
    },
  };
  const parse = () => provider.configSchema.parse(config);
  expect(parse).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
  for (const path of [
    "mode:",
    "keys.a.algorithm:",
    "keys.b.files:",
    "keys.b.material:",
    "keys.c:",
  ]) {
    expect(parse).toThrow(path);
  }
  expect(() => provider.configSchema.parse({})).toThrow("keys: must be an object");
});
