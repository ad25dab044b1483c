import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";

// The very objects that the code looks the functions up on.
const crypto = process.getBuiltinModule("node:crypto");
const fs = process.getBuiltinModule("node:fs");

/** Windows has no such device; there the bytes are Node's alone. */
const hasDevice = fs.existsSync("/dev/urandom");

type Fill = (out: Uint8Array, start: number, end: number) => void;

/** A copy of the module that has drawn nothing yet. */
const freshModule = async (): Promise<(length: number) => Uint8Array> => {
  vi.resetModules();
  return (await import("../src/random.ts")).randomBytesFresh;
};

const replaceNode = (fill: (bytes: Uint8Array) => void): void => {
  vi.spyOn(crypto, "randomFillSync").mockImplementation(((bytes: Uint8Array) => {
    fill(bytes);
    return bytes;
  }) as never);
};

const replaceDevice = (fill: Fill): void => {
  vi.spyOn(fs, "readSync").mockImplementation(((
    _fd: number,
    out: Uint8Array,
    at: number,
    length: number,
  ) => {
    fill(out, at, at + length);
    return length;
  }) as never);
};

beforeEach(() => onTestFinished(() => void vi.restoreAllMocks()));

describe("randomBytesFresh takes both generators:", () => {
  it("each byte is that of the device XOR that of Node", async () => {
    replaceNode((bytes) => void bytes.fill(0xaa));
    replaceDevice((out, start, end) => void out.fill(0x0f, start, end));
    const random = await freshModule();
    const wanted = hasDevice ? 0xa5 : 0xaa;
    for (const length of [1, 12, 32, 5000]) {
      expect(random(length)).toEqual(new Uint8Array(length).fill(wanted));
    }
  });

  it("a generator of Node that repeats itself, as after a restored snapshot, repeats no output", async () => {
    replaceNode((bytes) => void bytes.fill(0));
    const random = await freshModule();
    const seen = new Set(Array.from({ length: 1000 }, () => random(16).join()));
    expect(seen.size).toBe(hasDevice ? 1000 : 1);
  });

  it.each<[string, () => void]>([
    ["is not there", () => void vi.spyOn(fs, "openSync").mockImplementation(fail)],
    ["cannot be read", () => void vi.spyOn(fs, "readSync").mockImplementation(fail)],
    ["is at its end", () => void vi.spyOn(fs, "readSync").mockReturnValue(0)],
    ["gives zeros", () => replaceDevice((out, start, end) => void out.fill(0, start, end))],
  ])("a device that %s takes nothing from Node's bytes", async (_what, breakDevice) => {
    breakDevice();
    const random = await freshModule();
    const seen = new Set(Array.from({ length: 1000 }, () => random(16).join()));
    expect(seen.size).toBe(1000);
    expect(random(64).some((byte) => byte !== 0)).toBe(true);
  });

  it("a file that was put in the place of the device is not read", async () => {
    replaceNode((bytes) => void bytes.fill(0xaa));
    const notADevice = { isCharacterDevice: () => false } as never;
    vi.spyOn(fs, "fstatSync").mockReturnValue(notADevice);
    const read = vi.spyOn(fs, "readSync");
    const random = await freshModule();
    expect(random(32)).toEqual(new Uint8Array(32).fill(0xaa));
    expect(read).not.toHaveBeenCalled();
  });

  it("no byte of Node's is used twice", async () => {
    let next = 0;
    replaceNode((bytes) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next++ % 251;
    });
    replaceDevice((out, start, end) => void out.fill(0, start, end));
    const random = await freshModule();
    const drawn = [...random(5000), ...random(7), ...random(4096)];
    expect(drawn).toEqual(Array.from({ length: drawn.length }, (_, i) => i % 251));
  });
});

function fail(): never {
  throw Object.assign(new Error("EACCES"), { code: "EACCES" });
}
