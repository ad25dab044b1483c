import { describe, expect, onTestFinished, test } from "vitest";
import type { WebSocket } from "ws";
import { createPairingHost, joinPairing } from "../src/index.ts";
import type { Identity } from "../src/pairing/identity.ts";
import { commitTo, newNonce } from "../src/pairing/proofs.ts";
import type { ConfirmDigits } from "../src/pairing/types.ts";
import { makeIdentity } from "./support/devices.ts";
import { expectCode } from "./support/expect-code.ts";
import { listenerOf, makeRig } from "./support/pairing-rig.ts";
import { type Json, rawJoiner, reader } from "./support/raw-pairing.ts";

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** Says what a person says, and remembers what was shown. */
const person = (answer = true): { confirm: ConfirmDigits; seen: string[] } => {
  const seen: string[] = [];
  return {
    seen,
    confirm: async (digits) => {
      seen.push(digits);
      return answer;
    },
  };
};

/** Ends TLS on both sides with keys of its own and carries every message over, as `edit` changes it. */
const middle = async (
  port: number,
  edit: (message: Json) => Json = (message) => message,
): Promise<number> => {
  const identity = await makeIdentity("m");
  const { listener, port: ownPort } = await listenerOf(identity);
  listener.setPairing((socket: WebSocket) => {
    const next = reader(socket);
    void rawJoiner(port, identity).then(async (far) => {
      const toHost = async (): Promise<void> => {
        for (let said = await next(); said; said = await next()) far.send(edit(said));
        far.drop();
      };
      const toJoiner = async (): Promise<void> => {
        for (let said = await far.next(); said; said = await far.next()) {
          socket.send(JSON.stringify(edit(said)));
        }
        socket.close();
      };
      await Promise.all([toHost(), toJoiner()]);
    });
  });
  return ownPort;
};

describe("someone in between, with a code", () => {
  test("who carries over what both say gets no further than the proof", async () => {
    const { host, port, join, kept } = await makeRig();
    const url = `https://127.0.0.1:${await middle(port)}`;
    await expectCode(join({ url, code: host.code }), "ERR_ACCESS_DENIED");
    expect(kept).toEqual({ host: [], joiner: [] });
    // One try is gone, no more.
    await join({ code: host.code });
  });

  test("is not even spoken to where the URI was scanned", async () => {
    const { host, port, join } = await makeRig();
    let spoken = 0;
    const between = await middle(port, (message) => {
      spoken += 1;
      return message;
    });
    const url = host.uri?.replace(/:\d+\//, `:${between}/`) ?? "";
    await expectCode(join({ url }), "ERR_ACCESS_DENIED");
    expect(spoken).toBe(0);
  });

  test("who plays the host and sends the joiner's own proof back", async () => {
    const { port, listener } = await listenerOf(await makeIdentity("m"));
    listener.setPairing((socket) => {
      const next = reader(socket);
      void (async () => {
        const id = "A".repeat(22);
        socket.send(JSON.stringify({ ...(await next()), role: "companion", id }));
        socket.send(JSON.stringify(await next()));
      })();
    });
    const { join, host, kept } = await makeRig();
    const url = `https://127.0.0.1:${port}`;
    await expectCode(join({ url, code: host.code }), "ERR_ACCESS_DENIED");
    expect(kept.joiner).toEqual([]);
  });
});

describe("digits", () => {
  test("are the same on both sides, and pair when both people say yes", async () => {
    const [one, two] = [person(), person()];
    const { host, join, kept } = await makeRig({ mode: { kind: "compare", confirm: one.confirm } });
    expect([host.code, host.uri]).toEqual([undefined, undefined]);
    const joined = await join({ confirm: two.confirm });
    expect((await host.done).id).toBe(joined.id);
    expect(one.seen).toEqual([expect.stringMatching(/^\d{6}$/)]);
    expect(two.seen).toEqual(one.seen);
    expect([kept.host.length, kept.joiner.length]).toEqual([1, 1]);
  });

  test.for([
    [false, true],
    [true, false],
  ] as const)(
    "host says %s, joiner says %s: nobody is paired, and it was the one try",
    async ([at, there]) => {
      const { host, join, kept } = await makeRig({
        mode: { kind: "compare", confirm: person(at).confirm },
      });
      await expectCode(join({ confirm: person(there).confirm }), "ERR_DENIED");
      await expectCode(host.done, "ERR_DENIED");
      await expectCode(join({ confirm: person().confirm }), "ERR_ACCESS_DENIED");
      expect(kept).toEqual({ host: [], joiner: [] });
    },
  );

  test("a prompt is withdrawn when the other side is gone", async () => {
    const { promise: withdrawn, resolve } = Promise.withResolvers<void>();
    const { host, join } = await makeRig({
      mode: {
        kind: "compare",
        confirm: (_, { signal, peerName }) => {
          expect(peerName).toBe("build machine");
          signal.addEventListener("abort", () => resolve());
          return new Promise(() => undefined);
        },
      },
    });
    await expectCode(join({ confirm: person(false).confirm }), "ERR_DENIED");
    await withdrawn;
    await expectCode(host.done, "ERR_DENIED");
  });

  test("a second one at the same time is refused", async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { host, join } = await makeRig({ mode: { kind: "compare", confirm: () => promise } });
    const { promise: shown, resolve: show } = Promise.withResolvers<void>();
    const first = join({
      confirm: async () => {
        show();
        return true;
      },
    });
    await shown;
    const other = join({ identity: await makeIdentity("k"), confirm: person().confirm });
    await expectCode(other, "ERR_ACCESS_DENIED");
    resolve(true);
    await first;
    await host.done;
  });
});

describe("someone in between, with digits", () => {
  test("who pairs with both in the other's name shows them different digits", async () => {
    const [atHost, atJoiner] = [person(), person()];
    const { host, port, join } = await makeRig({
      mode: { kind: "compare", confirm: atHost.confirm },
    });
    const identity: Identity = await makeIdentity("m");
    const { listener, port: ownPort } = await listenerOf(identity);
    const common = { identity, store: async () => undefined } as const;
    const towardsJoiner = createPairingHost({
      ...{ ...common, role: "companion", name: "Ada's phone" },
      mode: { kind: "compare", confirm: async () => true },
    });
    onTestFinished(() => towardsJoiner.cancel());
    listener.setPairing(towardsJoiner.accept);
    await Promise.all([
      joinPairing({
        ...{ ...common, role: "agent", name: "build machine", confirm: async () => true },
        url: `https://127.0.0.1:${port}`,
      }),
      join({ url: `https://127.0.0.1:${ownPort}`, confirm: atJoiner.confirm }),
      host.done,
    ]);
    // Right once in a million runs.
    expect(atHost.seen).not.toEqual(atJoiner.seen);
  });

  test("who carries over what both say is found at the commitment", async () => {
    const [atHost, atJoiner] = [person(), person()];
    const { host, port, join } = await makeRig({
      mode: { kind: "compare", confirm: atHost.confirm },
    });
    const url = `https://127.0.0.1:${await middle(port)}`;
    await expect(join({ url, confirm: atJoiner.confirm })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(DENIED|ACCESS_DENIED|UNAVAILABLE)$/),
    });
    await expect(host.done).rejects.toThrow();
    expect([...atHost.seen, ...atJoiner.seen]).toEqual([]);
  });

  test("who joins, and chooses a nonce after seeing the host's", async () => {
    const { confirm, seen } = person();
    const { host, port, identities } = await makeRig({ mode: { kind: "compare", confirm } });
    const raw = await rawJoiner(port, identities.joiner);
    await raw.next();
    const commitment = commitTo("joiner", newNonce(), raw.exporter, identities.joiner.fingerprint);
    raw.send({
      ...{ type: "hello", version: 1, mode: "compare", role: "agent", name: "m" },
      commitment: base64(commitment),
    });
    expect(await raw.next()).toMatchObject({ type: "reveal" });
    raw.send({ type: "reveal", nonce: base64(newNonce()) });
    expect(await raw.next()).toEqual({ type: "refused", reason: "refused" });
    await expectCode(host.done, "ERR_DENIED");
    expect(seen).toEqual([]);
  });

  test("who joins without a commitment learns no nonce", async () => {
    const { host, port, identities, join } = await makeRig({
      mode: { kind: "compare", confirm: person().confirm },
    });
    const raw = await rawJoiner(port, identities.joiner);
    await raw.next();
    raw.send({ type: "hello", version: 1, mode: "compare", role: "agent", name: "m" });
    expect(await raw.next()).toEqual({ type: "refused", reason: "refused" });
    await join({ confirm: person().confirm });
    await host.done;
  });

  test("who plays the host, and chooses a nonce after seeing the joiner's", async () => {
    const identity = await makeIdentity("m");
    const { listener, port } = await listenerOf(identity);
    listener.setPairing((socket, connection) => {
      const next = reader(socket);
      const exporter = connection.exportKeyingMaterial(
        32,
        "EXPORTER-lango-pairing-v1",
        Buffer.alloc(0),
      );
      void (async () => {
        const commitment = base64(commitTo("host", newNonce(), exporter, identity.fingerprint));
        const hello = { type: "hello", version: 1, mode: "compare", role: "companion", name: "m" };
        socket.send(JSON.stringify({ ...hello, id: "A".repeat(22), commitment }));
        await next();
        await next();
        socket.send(JSON.stringify({ type: "reveal", nonce: base64(newNonce()) }));
      })();
    });
    const { join } = await makeRig();
    const { confirm, seen } = person();
    await expectCode(join({ url: `https://127.0.0.1:${port}`, confirm }), "ERR_DENIED");
    expect(seen).toEqual([]);
  });
});
