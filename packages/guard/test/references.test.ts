import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import {
  formatReference,
  judgePlainForm,
  newHandle,
  parseTemplate,
  type Reference,
  type ReferenceResolver,
  type ReferenceUse,
  type ResolveOptions,
  resolveReferences,
  type SecretPolicy,
  type TemplatePart,
} from "../src/index.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const invalid = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
const HANDLE = "0123456789abcdef0123456789abcdef";
const ID = "01890a5d-ac96-774b-bcce-b302099a8057";

const written = (parts: readonly TemplatePart[]) =>
  parts.map((part) => (typeof part === "string" ? part : formatReference(part))).join("");

describe("the parser of references", () => {
  it("knows three forms, and leaves all other text alone", () => {
    const text = `a {{secret:db/prod.key}}{{secret:x#${HANDLE}}} {{name}} {{{decrypt:${ID}}}} {{Secret:x}} {{ secret:x}}`;
    expect(parseTemplate(text)).toEqual([
      "a ",
      { kind: "secret", name: "db/prod.key" },
      { kind: "secret", name: "x", handle: HANDLE },
      " {{name}} {",
      { kind: "decrypt", id: ID },
      "} {{Secret:x}} {{ secret:x}}",
    ]);
    expect(parseTemplate("")).toEqual([]);
  });

  it.each([
    "{{secret:",
    "{{secret:}}",
    "{{secret:a",
    "{{secret:a}",
    "{{secret:a b}}",
    "{{secret: a}}",
    "{{secret:a\n}}",
    "{{secret:ä}}",
    "{{secret:../a}}",
    "{{secret:/a}}",
    "{{secret:a/}}",
    "{{secret:a#}}",
    `{{secret:a#${HANDLE}#}}`,
    `{{secret:a#${HANDLE.toUpperCase()}}}`,
    `{{secret:a#${HANDLE.slice(1)}}}`,
    `{{secret:#${HANDLE}}}`,
    `{{secret:${"a".repeat(257)}}}`,
    "{{secret:{{secret:a}}}}",
    "{{decrypt:}}",
    "{{decrypt:a}}",
    `{{decrypt:${ID.toUpperCase()}}}`,
    `{{decrypt:${ID}#${HANDLE}}}`,
    "{{secret:a}} and {{secret:b",
  ])("refuses %j", (text) => {
    expect(() => parseTemplate(text)).toThrow(invalid);
  });

  it("does not repeat what it refuses", () => {
    expect(() => parseTemplate("{{secret:sk-live value}}")).toThrow(
      /^The reference at character 0 is malformed$/,
    );
  });

  it("gives every text that it takes again, character for character", () => {
    const name = fc
      .stringMatching(/^[A-Za-z0-9._/-]{1,40}$/)
      .filter((each) => !each.includes("..") && !each.startsWith("/") && !each.endsWith("/"));
    const handle = fc.stringMatching(/^[0-9a-f]{32}$/);
    const reference: fc.Arbitrary<Reference> = fc.oneof(
      fc.record({ kind: fc.constant("secret" as const), name }),
      fc.record({ kind: fc.constant("secret" as const), name, handle }),
      fc.record({ kind: fc.constant("decrypt" as const), id: fc.uuid() }),
    );
    const text = fc
      .string({ unit: "binary", minLength: 1 })
      .filter((each) => !/\{\{(secret|decrypt):/.test(each));
    fc.assert(
      fc.property(fc.array(fc.oneof(text, reference)), (parts) => {
        // Two texts in a row are one, and may together open a reference.
        fc.pre(
          parts.every((part, i) => typeof part !== "string" || typeof parts[i - 1] !== "string"),
        );
        expect(parseTemplate(written(parts))).toEqual(parts);
      }),
      { numRuns: 2000 },
    );
  });

  it("meets mutated and random input with a typed error or a faithful result", {
    timeout: torture(60_000, 3_600_000),
  }, () => {
    const outcomes = new Map<string, number>();
    const pieces = [
      "{{",
      "}}",
      "{",
      "}",
      "secret:",
      "decrypt:",
      "#",
      "/",
      "..",
      "a",
      "Z.9",
      HANDLE,
      ID,
      "\0",
      "é",
      "\ud800",
      " ",
    ];
    const random = (n: number) => Math.floor(Math.random() * n);
    for (let i = torture(20_000, 1_000_000); i > 0; i--) {
      let text = `x {{secret:a/b#${HANDLE}}} {{decrypt:${ID}}} {{secret:c}}`;
      if (random(3) === 0) text = "";
      for (let edits = random(6); edits > 0; edits--) {
        const at = random(text.length + 1);
        text = text.slice(0, at) + pieces[random(pieces.length)]! + text.slice(at + random(4));
      }
      try {
        const parts = parseTemplate(text);
        if (written(parts) !== text) throw new Error(`not faithful: ${JSON.stringify(text)}`);
        const left = parts.filter((part) => typeof part === "string");
        if (left.some((part) => /\{\{(secret|decrypt):/.test(part))) {
          throw new Error(`left in place: ${JSON.stringify(text)}`);
        }
        count(outcomes, "parsed");
      } catch (error) {
        if (!isCryptoError(error)) throw error;
        count(outcomes, error.code);
      }
    }
    report("references, mutated input", outcomes);
    expect([...outcomes.keys()].sort()).toEqual(["ERR_INVALID_ARGUMENT", "parsed"]);
  });

  it("makes handles of 128 random bits that it can read", () => {
    const handles = Array.from({ length: 100 }, newHandle);
    expect(new Set(handles).size).toBe(100);
    for (const handle of handles) {
      const reference = { kind: "secret", name: "a", handle } as const;
      expect(parseTemplate(formatReference(reference))).toEqual([reference]);
    }
  });
});

const to = (host: string, port = 443) => ({ kind: "destination", host, port }) as const;
const run = (path: string) => ({ kind: "command", path }) as const;

describe("the policy of a secret", () => {
  const policy = {
    destinations: ["api.example.com", "*.internal.example", "localhost:8443", "[::1]:443"],
    commands: ["/usr/bin/git"],
  };

  it.each([
    [to("api.example.com"), "listed"],
    [to("API.Example.COM"), "listed"],
    [to("api.example.com", 80), "forbidden"],
    [to("api.example.com.evil.example"), "forbidden"],
    [to("evil-api.example.com"), "forbidden"],
    [to("a.b.internal.example"), "listed"],
    [to("internal.example"), "forbidden"],
    [to("xinternal.example"), "forbidden"],
    [to("localhost", 8443), "listed"],
    [to("[::1]"), "listed"],
    [run("/usr/bin/git"), "listed"],
    [run("/tmp/usr/bin/git"), "forbidden"],
    [run("git"), "forbidden"],
  ] as const)("says of %j: %s", (target, verdict) => {
    expect(judgePlainForm(policy, target)).toBe(verdict);
  });

  it("asks each time when nothing is listed, and never when only handles are allowed", () => {
    const empty = { destinations: [], commands: [] };
    expect(judgePlainForm(empty, to("a.example"))).toBe("needs-approval");
    expect(judgePlainForm(empty, run("/bin/sh"))).toBe("needs-approval");
    expect(judgePlainForm({ ...empty, commands: ["/bin/sh"] }, to("a.example"))).toBe("forbidden");
    expect(judgePlainForm({ ...policy, requiresHandle: true }, run("/usr/bin/git"))).toBe(
      "forbidden",
    );
  });

  it.each([
    "https://a.example",
    "a.example/path",
    "*",
    "*.*.example",
    "a.example:0",
    "a.example:65536",
    ".example",
    "",
  ])("refuses the destination %j", (destination) => {
    const bad = { destinations: [destination], commands: [] };
    expect(() => judgePlainForm(bad, to("a.example"))).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG" }),
    );
  });

  it("refuses a command that is no absolute path", () => {
    const bad = { destinations: [], commands: ["git"] };
    expect(() => judgePlainForm(bad, run("git"))).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG" }),
    );
    expect(
      judgePlainForm({ destinations: [], commands: ["C:\\git.exe"] }, run("C:\\git.exe")),
    ).toBe("listed");
  });
});

/** Keeps values in memory, and counts how often each was opened. */
const keeper = (secrets: Record<string, { value: string; policy?: SecretPolicy }>) => {
  const opened: ReferenceUse[] = [];
  const given: Bytes[] = [];
  const nameOf = ({ reference }: ReferenceUse) =>
    reference.kind === "secret" ? reference.name : reference.id;
  const resolver: ReferenceResolver = {
    policyOf: async (use) => {
      const secret = secrets[nameOf(use)];
      return secret && (secret.policy ?? { destinations: ["a.example"], commands: ["/bin/tool"] });
    },
    open: async (use) => {
      opened.push(use);
      const value = bytes(secrets[nameOf(use)]!.value);
      given.push(value);
      return value;
    },
  };
  return { resolver, opened, given };
};

const base = {
  sink: { kind: "environment", variable: "TOKEN" },
  target: run("/bin/tool"),
} as const;

describe("resolving", () => {
  const text = async (options: ResolveOptions) =>
    new TextDecoder().decode(await resolveReferences(options));

  it("puts values in place of references, once", async () => {
    const { resolver, opened, given } = keeper({
      a: { value: "value {{secret:b}}" },
      b: { value: "other" },
      [ID]: { value: "decrypted" },
    });
    const template = `é {{secret:a}} {{secret:a}} {{decrypt:${ID}}}`;
    expect(await text({ ...base, template, resolver, session: "s1" })).toBe(
      "é value {{secret:b}} value {{secret:b}} decrypted",
    );
    expect(opened.map((use) => formatReference(use.reference))).toEqual([
      "{{secret:a}}",
      `{{decrypt:${ID}}}`,
    ]);
    expect(opened[0]).toEqual({ ...base, session: "s1", reference: { kind: "secret", name: "a" } });
    for (const value of given) expect(value.every((byte) => byte === 0)).toBe(true);
  });

  it("keeps the other bytes of a template that is no text", async () => {
    const { resolver } = keeper({ a: { value: "ü" } });
    const template = Buffer.concat([Uint8Array.of(0xff, 0x00, 0xfe), bytes("{{secret:a}}ö")]);
    const sink = { kind: "file", path: "/tmp/x" } as const;
    const output = await resolveReferences({ ...base, sink, template, resolver });
    expect(output).toEqual(Uint8Array.of(0xff, 0x00, 0xfe, ...bytes("üö")));
  });

  it("gives one and the same error for an unknown and a forbidden name, and opens nothing", async () => {
    const { resolver, opened } = keeper({
      a: { value: "v" },
      elsewhere: { value: "v", policy: { destinations: ["b.example"], commands: [] } },
      handles: { value: "v", policy: { destinations: [], commands: [], requiresHandle: true } },
      later: { value: "v" },
    });
    const changing = {
      ...resolver,
      open: async () => {
        throw new CryptoError("ERR_NOT_FOUND", "gone since");
      },
    };
    const errors: unknown[] = [];
    for (const name of ["unknown", "elsewhere", "handles"]) {
      const template = `{{secret:a}} {{secret:${name}}}`;
      errors.push(await resolveReferences({ ...base, template, resolver }).catch((error) => error));
    }
    const template = "{{secret:later}}";
    errors.push(
      await resolveReferences({ ...base, template, resolver: changing }).catch((error) => error),
    );
    const [first, ...others] = errors.map((error) => {
      const { code, message, context, cause } = error as CryptoError;
      return { code, message, context, cause };
    });
    expect(first!.code).toBe("ERR_DENIED");
    for (const other of others) expect(other).toEqual(first);
    expect(opened).toEqual([]);
  });

  it("asks for each use of a secret with empty lists, before it opens anything", async () => {
    const asks = { destinations: [], commands: [] };
    const { resolver, opened } = keeper({
      a: { value: "1", policy: asks },
      b: { value: "2", policy: asks },
    });
    const template = "{{secret:a}}{{secret:b}}";
    const asked: string[] = [];
    const answers = [true, false, true, true];
    const approve = async ({ reference }: ReferenceUse) => {
      asked.push(formatReference(reference));
      return answers.shift()!;
    };
    const denied = { code: "ERR_DENIED" };
    await expect(resolveReferences({ ...base, template, resolver, approve })).rejects.toMatchObject(
      denied,
    );
    expect(opened).toEqual([]);
    expect(await text({ ...base, template, resolver, approve })).toBe("12");
    expect(asked).toEqual(["{{secret:a}}", "{{secret:b}}", "{{secret:a}}", "{{secret:b}}"]);
    await expect(resolveReferences({ ...base, template, resolver })).rejects.toMatchObject({
      ...denied,
      message: expect.stringContaining("nobody can be asked"),
    });
  });

  it("opens nothing that is taken back while a person is asked", async () => {
    for (const after of [
      undefined,
      { destinations: [], commands: [] },
      { destinations: ["b.example"], commands: [] },
    ]) {
      const policies = new Map<string, SecretPolicy | undefined>([
        ["a", { destinations: [], commands: ["/bin/tool"] }],
        ["b", { destinations: [], commands: [] }],
      ]);
      const { resolver, opened } = keeper({ a: { value: "1" }, b: { value: "2" } });
      const changing: ReferenceResolver = {
        ...resolver,
        policyOf: async ({ reference }) =>
          policies.get(reference.kind === "secret" ? reference.name : ""),
      };
      const call = resolveReferences({
        ...base,
        template: "{{secret:a}}{{secret:b}}",
        resolver: changing,
        approve: async () => {
          policies.set("a", after);
          return true;
        },
      });
      await expect(call).rejects.toMatchObject({ code: "ERR_DENIED" });
      expect(opened).toEqual([]);
    }
  });

  it("does not ask again for a handle, whose use the resolver has checked", async () => {
    const { resolver } = keeper({
      a: { value: "v", policy: { destinations: [], commands: [], requiresHandle: true } },
    });
    expect(await text({ ...base, template: `{{secret:a#${HANDLE}}}`, resolver })).toBe("v");
  });

  it("refuses values that would break out of the sink", async () => {
    const { resolver, given } = keeper({
      nul: { value: "a\0b" },
      line: { value: "a\r\nX-Other: b" },
    });
    const header = { kind: "header", header: "authorization" } as const;
    const target = to("a.example");
    for (const [name, sink] of [
      ["nul", base.sink],
      ["nul", header],
      ["line", header],
    ] as const) {
      const template = `{{secret:${name}}}`;
      await expect(resolveReferences({ sink, target, template, resolver })).rejects.toEqual(
        invalid,
      );
    }
    for (const value of given) expect(value.every((byte) => byte === 0)).toBe(true);
    expect(await text({ ...base, template: "{{secret:line}}", resolver })).toContain("X-Other");
  });

  it("passes on what is no refusal, and stops at an abort", async () => {
    const { resolver, opened } = keeper({ a: { value: "v" } });
    const locked = new CryptoError("ERR_LOCKED", "The vault is locked");
    const failing = { ...resolver, open: () => Promise.reject(locked) };
    await expect(
      resolveReferences({ ...base, template: "{{secret:a}}", resolver: failing }),
    ).rejects.toBe(locked);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(
      resolveReferences({ ...base, template: "{{secret:a}}", resolver, signal }),
    ).rejects.toThrow("enough");
    expect(opened).toEqual([]);
  });
});
