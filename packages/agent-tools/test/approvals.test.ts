import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isCryptoError, toHex, utf8 } from "@lango/crypto-core";
import {
  type Action,
  type Answer,
  createBroker,
  createProgrammaticSurface,
  createTerminalSurface,
  type JsonValue,
  type Surface,
} from "@lango/guard";
import { type AuditEvent, createVault, type Vault } from "@lango/vault";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";

// The broker of the guard and the approvals of the vault, together.

const PASSPHRASE = "correct horse battery";
const REQUESTS = torture(1000, 10_000);
const RUNS = torture(60, 3000);

const makeVault = async (): Promise<Vault> => {
  const folder = mkdtempSync(join(tmpdir(), "lango-approvals-"));
  const vault = await createVault({
    home: join(folder, "home"),
    credentials: [{ kind: "passphrase", passphrase: utf8(PASSPHRASE) }],
    kdf: { name: "pbkdf2-sha256", iterations: 1000, salt: new Uint8Array(16).fill(1) },
    acceptWeakKdf: true,
  });
  onTestFinished(async () => {
    await vault.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return vault;
};

const brokerOf = (vault: Vault, timeoutMs?: number) => {
  const broker = createBroker({
    vault: vault.approvals,
    policy: () => vault.approvals.policy.get(),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  onTestFinished(() => broker.close());
  return broker;
};

/** A number that differs from one request to the next, and from one surface to the next. */
const spread = (text: string, below: number): number =>
  createHash("sha256").update(text).digest().readUInt32BE() % below;

/** Waits for a while, also when nobody wants the answer any more: surfaces are not polite. */
const program = (name: string, waitMs: number, answer: (id: string) => unknown): Surface =>
  createProgrammaticSurface({
    name,
    provesApprover: true,
    async ask({ id }) {
      await setTimeout(spread(name + id, waitMs));
      return answer(id) as Answer;
    },
  });

test(`${REQUESTS} approvals race from several surfaces: one decision each, all of them in the log`, {
  timeout: 900_000,
}, async () => {
  const vault = await makeVault();
  const broker = brokerOf(vault, 60_000);
  const yes = (by: string): Answer => ({ approved: true, by });
  broker.addSurface(program("yes", 900, () => yes("one")));
  broker.addSurface(program("yes too", 900, () => yes("two")));
  broker.addSurface(program("no", 900, () => ({ approved: false, by: "three" })));
  broker.addSurface(program("late", 60_000, () => yes("late")));
  broker.addSurface(
    program("odd", 100, (id) => {
      if (spread(id, 2) === 0) throw new Error("out of order");
      return { approved: "yes" };
    }),
  );
  broker.addSurface(
    createTerminalSurface({
      device: {
        number: () => 0x7ff01,
        ask: async (_question, signal) => utf8(await setTimeout(1, "y", { signal })),
      },
    }),
  );
  /** Nobody has time for these. */
  const slow = brokerOf(vault, 5);
  slow.addSurface(program("slow", 60_000, () => yes("slow")));
  slow.addSurface(program("quick", 10, () => yes("quick")));

  const outcomes = new Map<string, number>();
  const decided = new Map<string, string>();
  const session = (number: number) => `s${number}`;
  await Promise.all(
    Array.from({ length: REQUESTS }, async (_, number) => {
      const action = { session: session(number), tool: "exec", arguments: { number } };
      const safety = number % 2 === 0 ? "dangerous" : "moderate";
      const controller = new AbortController();
      if (number % 10 === 9) void setTimeout(number % 500).then(() => controller.abort("enough"));
      const asked = number % 5 === 4 ? slow : broker;
      const outcome = await asked
        .decide(action, { safety, required: true, signal: controller.signal })
        .then(
          ({ via }) => `approved by ${via}`,
          (error) => (isCryptoError(error) ? error.code : String(error)),
        );
      decided.set(session(number), outcome);
      count(outcomes, outcome);
    }),
  );
  report("approvals from several surfaces at once, decisions", outcomes);
  expect(decided.size).toBe(REQUESTS);
  expect(outcomes.size).toBeGreaterThanOrEqual(5);

  const events = await allEvents(vault);
  const asked = events.filter(({ action }) => action === "approval.request");
  const verdicts = events.filter(({ action }) => /^approval\.(approve|deny|expire)$/.test(action));
  // An abort before anybody was asked leaves nothing.
  const early = REQUESTS - asked.length;
  expect(early).toBeLessThanOrEqual(REQUESTS / 10);
  expect(verdicts).toHaveLength(asked.length);
  expect(new Set(verdicts.map(({ target }) => target))).toEqual(
    new Set(asked.map(({ target }) => target)),
  );
  for (const { action, about = {} } of verdicts) {
    const outcome = decided.get(about["session"] ?? "") ?? "";
    const expected = outcome.startsWith("approved by ")
      ? "approval.approve"
      : outcome === "ERR_APPROVAL_TIMEOUT"
        ? "approval.expire"
        : "approval.deny";
    expect(action, outcome).toBe(expected);
    if (expected === "approval.approve") expect(outcome).toBe(`approved by ${about["via"]}`);
  }
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
});

/** The log, event by event; `tail` gives at most 1,000. */
const allEvents = async (vault: Vault): Promise<AuditEvent[]> => {
  const last = (await vault.audit.tail(1))[0]?.seq ?? 0;
  const events: AuditEvent[] = [];
  for (let seq = 1; seq <= last; seq += 1) {
    const event = await vault.audit.read(seq);
    if (event) events.push(event);
  }
  return events;
};

const CHANGEABLE = [
  "session",
  "tool",
  "secret",
  "destination",
  "binary",
  "cwd",
  "amount",
] as const satisfies (keyof Action)[];

const action: fc.Arbitrary<Action> = fc.record({
  session: fc.string({ minLength: 1, maxLength: 5 }),
  tool: fc.string({ minLength: 1, maxLength: 5 }),
  secret: fc.string({ minLength: 1, maxLength: 5 }),
  destination: fc.string({ minLength: 1, maxLength: 5 }),
  binary: fc.string({ minLength: 1, maxLength: 5 }),
  cwd: fc.string({ minLength: 1, maxLength: 5 }),
  amount: fc.string({ minLength: 1, maxLength: 5 }),
  argv: fc.array(fc.string({ maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  arguments: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>, {
    minKeys: 1,
    maxKeys: 3,
  }),
});

test("the commitment is another one for whatever differs: each field, the id, the end", async () => {
  const vault = await makeVault();
  const seen = new Set<string>();
  const commitmentOf = async (given: Action, timeoutMs = 60_000): Promise<string> => {
    let commitment = "";
    const broker = createBroker({
      // The same id and time for all, so that only the action differs.
      vault: {
        ...vault.approvals,
        commit: (request) => vault.approvals.commit({ ...request, id: "fixed" }),
        record: async () => undefined,
      },
      policy: () => vault.approvals.policy.get(),
      clock: () => 1_800_000_000_000,
    });
    broker.addSurface({
      name: "reader",
      counts: () => true,
      ask: async (request) => {
        commitment = toHex(request.commitment);
        return { approved: true, by: "reader" };
      },
    });
    await broker.decide(given, { safety: "dangerous", timeoutMs });
    broker.close();
    return commitment;
  };
  await fc.assert(
    fc.asyncProperty(action, fc.string({ minLength: 1, maxLength: 3 }), async (given, added) => {
      const differing: Action[] = [
        ...CHANGEABLE.map((field) => ({ ...given, [field]: `${given[field]}${added}` })),
        ...(["secret", "destination", "binary", "cwd", "amount", "argv", "arguments"] as const).map(
          (field) =>
            Object.fromEntries(
              Object.entries(given).filter(([name]) => name !== field),
            ) as unknown as Action,
        ),
        // Moved from one field to the next.
        { ...given, secret: given.destination!, destination: given.secret! },
        { ...given, argv: [...given.argv!, added] },
        { ...given, argv: [given.argv!.join("") + added] },
        {
          ...given,
          arguments: { ...given.arguments, [`${Object.keys(given.arguments!)[0]}${added}`]: 1 },
        },
      ];
      const own = await commitmentOf(given);
      const key = JSON.stringify(normal(given));
      for (const other of differing) {
        if (JSON.stringify(normal(other)) === key) continue;
        expect(await commitmentOf(other)).not.toBe(own);
      }
      expect(await commitmentOf(structuredClone(given))).toBe(own);
      expect(await commitmentOf(given, 60_001)).not.toBe(own);
      seen.add(own);
    }),
    { numRuns: RUNS },
  );
  report("commitments of actions and of each changed in one field", new Map([["apart", RUNS]]));
  expect(seen.size).toBeGreaterThan(10);
  const request = { tool: "exec", id: "1" };
  expect(vault.approvals.commit(request)).not.toEqual(
    vault.approvals.commit({ ...request, id: "2" }),
  );
});

/** As the broker sees it: one spelling of the tool, keys in order. */
const normal = ({ tool, ...others }: Action): unknown =>
  sortKeys({ ...others, tool: tool.replaceAll(".", "_") } as unknown as JsonValue);

const sortKeys = (value: JsonValue): unknown => {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value === 0 ? 0 : value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sortKeys(member)]);
};

test("a yes for a while is a grant: the next time nobody is asked, until it is revoked", async () => {
  const vault = await makeVault();
  const broker = brokerOf(vault);
  let asked = 0;
  broker.addSurface(
    createProgrammaticSurface({
      provesApprover: true,
      ask: () => {
        asked += 1;
        return { approved: true, by: "Ada", scope: { minutes: 5 } };
      },
    }),
  );
  const wanted = { session: "s", tool: "files.delete", arguments: { path: "/tmp/x" } };
  const decide = (given: Action) => broker.decide(given, { safety: "dangerous" });
  const { grantId = "" } = await decide(wanted);
  expect(await decide({ ...wanted, tool: "files_delete" })).toMatchObject({
    via: "grant",
    grantId,
  });
  expect(asked).toBe(1);
  await decide({ ...wanted, arguments: { path: "/tmp/y" } });
  expect(asked).toBe(2);
  await vault.approvals.grants.revoke(grantId);
  expect(await decide(wanted)).toMatchObject({ via: "program" });
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
});
