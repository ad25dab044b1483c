import { createHash, generateKeySync } from "node:crypto";
import type { Worker } from "node:worker_threads";
import { type Bytes, toHex } from "@lango/crypto-core";
import { createDataKey, newDataKeyId, openValue, sealValue } from "@lango/envelope";
import type { VersionOfSecret } from "@lango/store";
import { describe, expect, onTestFinished, test } from "vitest";
import { buildSealedVault, unlock } from "../../../tooling/bench/rotation-vault.ts";
import { openVault } from "../src/index.ts";
import { SECRETS } from "../src/names.ts";
import { BATCH } from "../src/rotation-reseal.ts";
import { type RotationThread, startRotationThread } from "../src/rotation-thread.ts";
import { withMac } from "../src/rows.ts";
import { aadOf } from "../src/sealed-version.ts";
import { bytes, expectCode, newHome, text } from "./helpers.ts";
import { onStage } from "./on-stage.ts";

const vaultId = bytes("sixteen bytes id");
const rowsKeys = { current: generateKeySync("hmac", { length: 256 }) };
const newKey = () => createDataKey(crypto.getRandomValues(new Uint8Array(32)), newDataKeyId());

const versionsUnder = (key: ReturnType<typeof newKey>, values: readonly string[]) =>
  values.map((value, i): VersionOfSecret => {
    const secret = withMac(rowsKeys, "secrets", {
      ...{ id: `id ${i}`, collection: SECRETS, name: `name/${i}`, keyId: "key", currentVersion: 3 },
      ...{ createdAt: 1, updatedAt: 2, deletedAt: null, uses: i, lastUsedAt: null },
    });
    const row = { ...secret, version: 2, dataKeyId: toHex(key.id), size: value.length };
    const aad = aadOf({ vaultId }, { ...row, sealed: bytes("") });
    return { ...row, sealed: sealValue(key, bytes(value), aad) };
  });

const VALUES = ["", "one", "a longer value", "x".repeat(100_000)];

const work = () => {
  const [from, to] = [newKey(), newKey()];
  return { vaultId, rowsKeys, from, to, versions: versionsUnder(from, VALUES) };
};

const started = async (program?: string): Promise<{ thread: RotationThread; worker: Worker }> => {
  const worker = new Promise<Worker>((resolve) => process.once("worker", resolve));
  const thread = await startRotationThread(program === undefined ? undefined : new URL(program));
  onTestFinished(() => thread.close());
  return { thread, worker: await worker };
};

/** Whether what was asked is answered by that thread. */
const answers = (worker: Worker): Promise<unknown> =>
  new Promise((resolve) => worker.once("message", resolve));

const expectResealed = async (thread: RotationThread): Promise<void> => {
  const given = work();
  const resealed = await thread.reseal(given);
  const opened = resealed.map(({ sealed }, i) =>
    text(openValue(given.to, sealed, aadOf({ vaultId }, given.versions[i]!))),
  );
  expect(opened).toEqual(VALUES);
  expect(resealed.map(({ hash }) => hash)).toEqual(
    resealed.map(({ sealed }) => createHash("sha256").update(sealed).digest("hex")),
  );
  const nonces = resealed.map(({ sealed }) => toHex(sealed.subarray(52, 64)));
  expect(new Set(nonces).size).toBe(VALUES.length);
  const { from, versions } = given;
  await thread.open({ vaultId, dataKeys: new Map([[toHex(from.id), from]]), versions });
};

describe("the thread of a rotation", () => {
  test("opens, seals again and hashes", async () => {
    const { thread, worker } = await started();
    const answer = answers(worker);
    await expectResealed(thread);
    expect(await answer).toMatchObject({ hashes: VALUES.map(() => expect.any(String)) });
  });

  test("leaves what it was given as it was", async () => {
    const { thread } = await started();
    const given = work();
    const before = structuredClone(given.versions);
    await thread.reseal(given);
    expect(given.versions).toEqual(before);
  });

  test("says which value is not as lango wrote it, and why", async () => {
    const { thread } = await started();
    const refused = async (change: (row: VersionOfSecret) => VersionOfSecret, code: string) => {
      const given = work();
      given.versions[1] = change(given.versions[1]!);
      const error = await expectCode(() => thread.reseal(given), code);
      return error.message;
    };
    const flipped = (sealed: Bytes): Bytes => sealed.map((byte, i) => (i === 70 ? byte ^ 1 : byte));
    expect(
      await refused((row) => ({ ...row, sealed: flipped(row.sealed) }), "ERR_DECRYPTION_FAILED"),
    ).toBe("Version secrets/name/1@2 does not open");
    expect(await refused((row) => ({ ...row, updatedAt: 9 }), "ERR_INTEGRITY")).toContain("id 1");
    expect(await refused((row) => ({ ...row, mac: bytes("") }), "ERR_INTEGRITY")).toContain("id 1");
    expect(await refused((row) => ({ ...row, version: 4 }), "ERR_INTEGRITY")).toContain("removed");
    const { from, to, versions } = work();
    const dataKeys = new Map([[toHex(from.id), to]]);
    await expectCode(() => thread.open({ vaultId, dataKeys, versions }), "ERR_DECRYPTION_FAILED");
  });

  test("has no key that was destroyed", async () => {
    const { thread } = await started();
    const given = work();
    given.from.destroy();
    await expectCode(() => thread.reseal(given), "ERR_CLOSED");
  });

  test("gets neither the environment nor the options of this process", async () => {
    const said = "parentPort.postMessage([Object.keys(process.env), process.execArgv])";
    const program = `import { parentPort } from "node:worker_threads"; ${said}`;
    const { worker } = await started(`data:text/javascript,${encodeURIComponent(program)}`);
    expect(await answers(worker)).toEqual([[], ["--conditions=@lango/source"]]);
  });

  test.each([
    ["cannot be found", new URL("no-such-program.js", import.meta.url).href],
    ["fails as it starts", "data:text/javascript,throw new Error('no')"],
    ["ends by itself", "data:text/javascript,process.exit()"],
  ])("that %s has its work done by this one", async (_, program) => {
    const { thread } = await started(program);
    await expectResealed(thread);
    await expectResealed(thread);
  });

  test.each([
    ["less than it was asked for", "{ sealed: new Uint8Array(1), hashes: request.versions.rows }"],
    ["too few hashes", "{ sealed: request.versions.bytes.slice(32 * 4), hashes: [] }"],
    ["nothing", "undefined"],
  ])("that answers %s has its work done by this one", async (_, reply) => {
    const program = `import { parentPort } from "node:worker_threads";
      parentPort.on("message", (request) => parentPort.postMessage(${reply}));`;
    const { thread } = await started(`data:text/javascript,${encodeURIComponent(program)}`);
    await expectResealed(thread);
  });

  test("that cannot be asked has its work done by this one, and the next reply is for whoever asked next", async () => {
    const { thread, worker } = await started();
    const given = work();
    // Nothing that a row has, but as when there is no memory for a copy.
    const versions = given.versions.map((row) => ({ ...row, more: () => undefined }));
    expect(await thread.reseal({ ...given, versions })).toHaveLength(VALUES.length);
    const answer = answers(worker);
    await expectResealed(thread);
    expect(await answer).toMatchObject({ hashes: VALUES.map(() => expect.any(String)) });
  });

  test("gets the rows and nothing that lies beside them in memory", async () => {
    const program = `import { parentPort } from "node:worker_threads";
      parentPort.on("message", ({ vaultId, from, versions }) => {
        const all = [vaultId, from.identity, versions.bytes];
        parentPort.postMessage({ sealed: "", hashes: all.map(({ buffer, length }) => buffer.byteLength - length) });
      });`;
    const { thread, worker } = await started(`data:text/javascript,${encodeURIComponent(program)}`);
    const answer = answers(worker);
    await expectResealed(thread);
    expect(await answer).toMatchObject({ hashes: [0, 0, 0] });
  });

  test("that is ended in the middle has its work done by this one", async () => {
    const { thread, worker } = await started();
    const given = work();
    const asked = [thread.reseal(given), thread.reseal(given), thread.reseal(given)];
    await worker.terminate();
    for (const resealed of await Promise.all(asked)) expect(resealed).toHaveLength(VALUES.length);
    await expectResealed(thread);
  });
});

describe("a rotation that is worth a thread", () => {
  const COUNT = 2_000;

  const filled = async (): Promise<string> => {
    const home = newHome();
    await buildSealedVault(home, COUNT);
    return home;
  };

  test("has one while it runs, and goes on where that was ended", async () => {
    const home = await filled();
    await using vault = await openVault({ home, unlock });
    const workers: Worker[] = [];
    let replies = 0;
    const note = (worker: Worker): void => {
      workers.push(worker);
      worker.on("message", () => {
        replies += 1;
      });
    };
    process.on("worker", note);
    onTestFinished(() => void process.off("worker", note));
    expect(await vault.rotation.start()).toMatchObject({ resealed: COUNT, verified: COUNT });
    expect(workers).toHaveLength(1);
    expect(workers[0]?.threadId).toBe(-1);
    // Each batch once sealed and once opened.
    expect(replies).toBe(2 * Math.ceil(COUNT / BATCH.limit));

    onStage("rotate:batch", () => void workers[1]?.terminate());
    expect(await vault.rotation.start()).toMatchObject({ resealed: COUNT, verified: COUNT });
    expect(workers).toHaveLength(2);
    expect(replies).toBeLessThan(3 * Math.ceil(COUNT / BATCH.limit));
    expect(await vault.audit.verify()).toMatchObject({ ok: true, faults: [] });
  });

  test("ends it when it is aborted, and what was being sealed is written", async () => {
    const home = await filled();
    await using vault = await openVault({ home, unlock });
    const stop = new AbortController();
    let worker: Worker | undefined;
    process.once("worker", (made) => {
      worker = made;
    });
    onStage("rotate:batch", () => stop.abort(new Error("stop")));
    await expect(vault.rotation.start({ signal: stop.signal })).rejects.toThrow("stop");
    expect(worker?.threadId).toBe(-1);
    const { resealed, verified } = await vault.rotation.resume();
    expect(verified).toBe(COUNT);
    expect(resealed).toBeLessThan(COUNT);
    expect(await vault.audit.verify()).toMatchObject({ ok: true, faults: [] });
  });
});
