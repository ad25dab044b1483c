import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { isCryptoError, utf8 } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { createOsKeyring } from "../src/index.ts";
import { temporaryFolder } from "./support.ts";

const run = promisify(execFile);
const child = join(import.meta.dirname, "keyring-child.ts");

/** A home with a keyring of its own, and what works in it. */
function session(packageName: string) {
  const dbus = requireService("dbus-run-session");
  const daemon = requireService("gnome-keyring");
  const home = temporaryFolder();
  const env = { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: temporaryFolder() };
  const node = [process.execPath, "--conditions=@lango/source", child, packageName];
  const results = async (file: string, args: readonly string[]): Promise<unknown[]> =>
    JSON.parse((await run(file, args, { env, timeout: 60_000 })).stdout);
  return {
    /** Steps in a session whose keyring is opened with a password; the first one makes the keyring. */
    opened: (password: string, ...steps: readonly string[]) => {
      const start =
        'printf %s "$1" | "$2" --unlock --components=secrets >/dev/null 2>&1; shift 2; exec "$@"';
      const words = ["sh", "-c", start, "sh", password, daemon, ...node, ...steps];
      return results(dbus, ["--", ...words]);
    },
    /** Steps without a D-Bus. */
    alone: (...steps: readonly string[]) => results(node[0]!, [...node.slice(1), ...steps]),
  };
}

describe.each(["@napi-rs/keyring", "@github/keytar"])("the Secret Service through %s", (name) => {
  test("keeps an entry of a vault from one process to the next, and forgets it", async () => {
    const { opened } = session(name);
    expect(await opened("pw", "get", "set=pässwörd ✓", "get", "get-other")).toEqual([
      null,
      "set",
      "pässwörd ✓",
      null,
    ]);
    expect(await opened("pw", "get", "delete", "delete", "get")).toEqual([
      "pässwörd ✓",
      true,
      false,
      null,
    ]);
  });

  test("tells a locked keyring from one without the entry", async () => {
    const { opened } = session(name);
    await opened("pw", "set=correct horse");
    const locked = { code: "ERR_UNAVAILABLE", message: expect.stringMatching(/it is locked$/) };
    const [get, set] = await opened("another", "get", "set=x");
    expect(get).toEqual(locked);
    expect(set).toEqual(locked);
    // It was not emptied, nor made anew.
    expect(await opened("pw", "get")).toEqual(["correct horse"]);
  });

  test("says that there is no session, at once", async () => {
    const { alone } = session(name);
    expect(await alone("get", "set=x")).toEqual([
      { code: "ERR_UNAVAILABLE", message: expect.stringMatching(/cannot be reached \(/) },
      { code: "ERR_UNAVAILABLE", message: expect.stringMatching(/cannot be reached \(/) },
    ]);
  });
});

describe("a package that misbehaves", () => {
  // No keyring does these things when asked to.
  const entries = { vaultId: "00".repeat(16), timeoutMs: 50 };
  const fake = (methods: object) =>
    createOsKeyring({ ...entries, import: async () => ({ default: methods }) });
  const failure = async (run: Promise<unknown>): Promise<string> => {
    const error = await run.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!isCryptoError(error)) throw error ?? new Error("nothing was thrown");
    return `${error.code}: ${error.message}`;
  };

  test("and hangs is given up on", async () => {
    const keyring = fake({ getPassword: () => new Promise(() => {}) });
    expect(await failure(keyring.get("passphrase"))).toMatch(/^ERR_UNAVAILABLE: .*within 50 ms$/);
  });

  test("and stores something else is found out", async () => {
    const keyring = fake({ getPassword: async () => "other", setPassword: async () => {} });
    expect(await failure(keyring.set("passphrase", utf8("x")))).toMatch(/^ERR_CONFIG: .*stored$/);
  });

  test("and gives an empty entry, or fails for a reason of its own, ends the unlocking", async () => {
    const empty = fake({ getPassword: async () => "" });
    expect(await failure(empty.get("passphrase"))).toMatch(/^ERR_CONFIG: .*passphrase is empty$/);
    const odd = fake({ getPassword: () => Promise.reject(new Error("ambiguous\nsecond line")) });
    expect(await failure(odd.get("passphrase"))).toMatch(/^ERR_CONFIG: .*ambiguous$/);
  });

  test("is passed over when it does not load, and named when there is no other", async () => {
    const asked: string[] = [];
    const none = createOsKeyring({
      ...entries,
      import: async (name) => {
        asked.push(name);
        throw new Error(`no native part\nof ${name}`);
      },
    });
    expect(await failure(none.get("passphrase"))).toBe(
      "ERR_UNAVAILABLE: No package reaches the keyring: keytar: no native part; @github/keytar: no native part; @napi-rs/keyring: no native part",
    );
    expect(asked).toEqual(["keytar", "@github/keytar", "@napi-rs/keyring"]);
    const hinting = createOsKeyring({
      ...entries,
      import: () => Promise.reject(Object.assign(new Error("x"), { code: "ERR_MODULE_NOT_FOUND" })),
      installHint: (name) => `npm install ${name}`,
    });
    const error = await hinting.get("passphrase").catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      message: "No package reaches the keyring: none is installed",
      context: { hint: "npm install @napi-rs/keyring" },
    });
  });

  test("nothing but text is stored", async () => {
    const keyring = fake({ getPassword: async () => null });
    for (const secret of [new Uint8Array(), new Uint8Array([0xff]), utf8("a\0b")]) {
      expect(await failure(keyring.set("passphrase", secret))).toMatch(/^ERR_INVALID_ARGUMENT/);
    }
  });
});
