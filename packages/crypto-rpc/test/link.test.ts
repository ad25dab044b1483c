import type { Channel } from "@lango/companion";
import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { expect, test } from "vitest";
import { createDialInLink, createReconnectingLink } from "../src/index.ts";
import { scriptedChannel } from "./support/scripted-channel.ts";

const refused = () => new CryptoError("ERR_UNAVAILABLE", "nobody there");
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "ok",
    (error: unknown) => (isCryptoError(error) ? error.code : String(error)),
  );
const channel = () => scriptedChannel(() => undefined);

/** A link whose time stands still unless it is told to go on, and whose jitter is always the whole step. */
const scriptedLink = (connect: (signal: AbortSignal) => Promise<Channel>) => {
  const state = { now: 0, attempts: 0 };
  const link = createReconnectingLink({
    connect: (signal) => {
      state.attempts++;
      return connect(signal);
    },
    clock: () => state.now,
    random: () => 1,
  });
  return { link, state };
};

test("connects at the first call, once for all that come together, and keeps the connection", async () => {
  const only = channel();
  const { link, state } = scriptedLink(async () => only);
  expect(state.attempts).toBe(0);
  const channels = await Promise.all(Array.from({ length: 100 }, () => link.channel()));
  expect(new Set(channels)).toEqual(new Set([only]));
  expect(await link.channel()).toBe(only);
  expect(state.attempts).toBe(1);
});

test("holds off after each failure, twice as long each time up to 30 s, and fails at once meanwhile", async () => {
  const { link, state } = scriptedLink(() => Promise.reject(refused()));
  for (const step of [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
    const before = state.attempts;
    expect(await codeOf(link.channel())).toBe("ERR_UNAVAILABLE");
    expect(state.attempts).toBe(before + 1);
    state.now += step - 1;
    const gated = await link.channel().catch((error: CryptoError) => error);
    expect(gated).toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
    expect((gated as CryptoError).message).toMatch(/nobody there; not tried again yet/);
    expect(state.attempts).toBe(before + 1);
    state.now += 1;
  }
});

test("the steps are random from none to all of their bound", async () => {
  let random = 0;
  let attempts = 0;
  const link = createReconnectingLink({
    connect: () => {
      attempts++;
      return Promise.reject(refused());
    },
    clock: () => 0,
    random: () => random,
  });
  await codeOf(link.channel());
  await codeOf(link.channel());
  expect(attempts).toBe(2);
  random = 0.01;
  await codeOf(link.channel());
  await codeOf(link.channel());
  expect(attempts).toBe(3);
});

test("connects again at the first call after the connection broke; a long life forgets old failures", async () => {
  const channels = [channel(), channel()];
  let next = 0;
  const { link, state } = scriptedLink(async () => {
    if (state.attempts === 1) throw refused();
    return channels[next++]!;
  });
  expect(await codeOf(link.channel())).toBe("ERR_UNAVAILABLE");
  state.now = 100;
  expect(await link.channel()).toBe(channels[0]);
  state.now = 60_000;
  channels[0]!.drop();
  await null;
  expect(await link.channel()).toBe(channels[1]);
  expect(state.attempts).toBe(3);
});

test("a connection that ends at once counts as a failed one", async () => {
  const { link, state } = scriptedLink(async () => {
    const made = channel();
    setImmediate(() => made.drop());
    return made;
  });
  await (await link.channel()).closed;
  await null;
  expect(await codeOf(link.channel())).toBe("ERR_UNAVAILABLE");
  expect(state.attempts).toBe(1);
  state.now = 100;
  await (await link.channel()).closed;
  await null;
  state.now = 299;
  expect(await codeOf(link.channel())).toBe("ERR_UNAVAILABLE");
  state.now = 300;
  expect(await codeOf(link.channel())).toBe("ok");
});

test("an abort by one caller does not end the attempt for the others", async () => {
  const pending = Promise.withResolvers<Channel>();
  const { link, state } = scriptedLink(() => pending.promise);
  const controller = new AbortController();
  const [aborted, other] = [link.channel(controller.signal), link.channel()];
  controller.abort("enough");
  await expect(aborted).rejects.toBe("enough");
  const made = channel();
  pending.resolve(made);
  expect(await other).toBe(made);
  expect(state.attempts).toBe(1);
});

test("close ends the connection and an attempt under way, also one that does not look at its signal", async () => {
  const open = channel();
  const { link } = scriptedLink(async () => open);
  await link.channel();
  await Promise.all([link.close(), link.close()]);
  expect(await open.closed).toBe("gone");
  expect(await codeOf(link.channel())).toBe("ERR_CLOSED");

  const late = channel();
  const pending = Promise.withResolvers<Channel>();
  const { link: other } = scriptedLink(() => pending.promise);
  const call = codeOf(other.channel());
  const closing = other.close();
  pending.resolve(late);
  await closing;
  expect(await call).toBe("ERR_CLOSED");
  expect(await late.closed).toBe("gone");
});

test("a companion that dials in: refused at once while it is not there, and no other one after it", async () => {
  const channels: Channel[] = [];
  const link = createDialInLink({ listener: { channels } });
  const error = await link.channel().catch((failure: CryptoError) => failure);
  expect(error).toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
  expect((error as CryptoError).context.hint).toBeDefined();
  const [first, second] = [channel(), scriptedChannel(() => undefined, "companion-2")];
  channels.push(first, second);
  expect(await link.channel()).toBe(first);
  channels.shift();
  expect(await codeOf(link.channel())).toBe("ERR_UNAVAILABLE");
  const named = createDialInLink({
    listener: { channels: [first, second] },
    peerId: "companion-2",
  });
  expect(await named.channel()).toBe(second);
  await expect(named.channel(AbortSignal.abort("enough"))).rejects.toBe("enough");
});
