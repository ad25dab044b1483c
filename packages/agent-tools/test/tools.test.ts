import { createHash, createPublicKey, verify } from "node:crypto";
import { fromBase64, toBase64, utf8 } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { API_KEY, failure, PASSPHRASE, rig } from "./rig.ts";

const YES = () => true;

describe("the tools of secrets", () => {
  test("store: the value goes in, a reference comes out, and outputs are masked at once", async () => {
    const { call, vault, guard } = await rig();
    const value = "ghp_0123456789abcdef";
    const stored = await call("secrets.store", { name: "github/token", value });
    expect(stored).toEqual({
      name: "github/token",
      reference: "{{secret:github/token}}",
      masked: true,
      version: 1,
      created: true,
    });
    const kept = await vault.secrets.get("github/token");
    expect(new TextDecoder().decode(kept.value)).toBe(value);
    expect(guard.mask(`token ${value}`)).toBe("token [SECRET:github/token]");
    const events = await vault.audit.tail();
    expect(events.find(({ action }) => action === "secret.set")?.actor.kind).toBe("owner");
    expect(events.findLast(({ action }) => action === "secret.set")?.actor.kind).toBe("agent");
  });

  test("store: bytes in base64; a value that is too short to be masked says so", async () => {
    const { call, vault } = await rig();
    await call("secrets.store", { name: "raw", value: "/wAB/g==", encoding: "base64" });
    expect((await vault.secrets.get("raw")).value).toEqual(new Uint8Array([255, 0, 1, 254]));
    expect(await call("secrets.store", { name: "pin", value: "1234" })).toMatchObject({
      masked: false,
      warning: "It is not masked in outputs: it is too short",
    });
    const error = await failure(
      call("secrets.store", { name: "x", value: "not-base64!", encoding: "base64" }),
    );
    expect(error).toMatchObject({ code: "ERR_INVALID_ARGUMENT", message: "value is not base64" });
  });

  test("store: to replace a secret needs an approval, which does not show the value", async () => {
    const { call, asked, vault } = await rig({ answer: YES });
    await call("secrets.store", { name: "new", value: "first-value-of-it" });
    expect(asked).toEqual([]);
    await call("secrets.store", { name: "api/key", value: "replaced-by-the-agent" });
    expect(asked).toMatchObject([{ secret: "api/key", dangerous: true }]);
    expect(JSON.stringify(asked)).not.toContain("replaced-by-the-agent");
    expect((await vault.secrets.get("api/key")).version).toBe(2);
    const alone = await rig({ vault });
    const error = await failure(alone.call("secrets.store", { name: "new", value: "second" }));
    expect(error.code).toBe("ERR_DENIED");
  });

  test("store: what was approved as new replaces nothing that came meanwhile", async () => {
    const { call, vault } = await rig({
      policy: { approvalPolicy: "all" },
      answer: async ({ arguments: args }) => {
        await vault.secrets.set(String(args?.["name"]), utf8("entered-by-a-person"));
        return true;
      },
    });
    const error = await failure(call("secrets.store", { name: "new", value: "of-the-agent" }));
    expect(error.code).toBe("ERR_CONFLICT");
    expect((await vault.secrets.get("new")).version).toBe(1);
  });

  test("get: a handle lasts as long and as often as was asked for", async () => {
    const { call } = await rig({ answer: YES });
    const got = async (more: object): Promise<Record<string, unknown>> =>
      call("secrets.get", { name: "api/key", tool: "t", destination: "a.example", ...more });
    const minutesOf = ({ expiresAt }: Record<string, unknown>): number =>
      Math.round((Date.parse(String(expiresAt)) - Date.now()) / 60_000);
    expect(minutesOf(await got({}))).toBe(10);
    expect(minutesOf(await got({ minutes: 90 }))).toBe(90);
  });

  test("get: a handle ends where the owner lists other places", async () => {
    const { call, guard, vault } = await rig({ answer: YES });
    const [tool, destination] = ["http_request", "a.example"];
    const { reference } = await call("secrets.get", {
      name: "api/key",
      tool,
      destination,
      uses: 9,
    });
    const send = guard.wrapTool(
      {
        ...{ name: tool, description: "", inputSchema: {}, safety: "safe", references: ["token"] },
        target: () => ({ kind: "destination", host: destination, port: 443 }),
      },
      () => "sent",
    );
    expect(await send.call({ token: reference })).toBe("sent");
    const approver = await vault.approvals.approver(utf8(PASSPHRASE));
    const list = (host: string) =>
      vault.approvals.destinations.set(
        "api/key",
        { destinations: [host], commands: [], requiresHandle: true },
        { approver },
      );
    await list("a.example");
    expect(await send.call({ token: reference })).toBe("sent");
    await list("b.example");
    expect((await failure(send.call({ token: reference }))).code).toBe("ERR_DENIED");
  });

  test("get: needs an approval under every policy, and returns a reference", async () => {
    for (const approvalPolicy of ["dangerous", "all", "configured", "none"] as const) {
      const denied = await rig({ answer: () => false, policy: { approvalPolicy } });
      expect((await failure(denied.call("secrets.get", { name: "api/key" }))).code).toBe(
        "ERR_DENIED",
      );
      const { call, asked } = await rig({ answer: YES, policy: { approvalPolicy } });
      expect(await call("secrets.get", { name: "api/key" })).toEqual({
        name: "api/key",
        reference: "{{secret:api/key}}",
        destinations: [],
        commands: [],
        note: "Nothing is listed for it: each use needs an approval",
      });
      expect(asked).toMatchObject([{ tool: "secrets_get", secret: "api/key" }]);
    }
  });

  test("get: with tool and destination it is a handle for one use there", async () => {
    const { call, guard, asked, vault } = await rig({ answer: YES });
    const got = await call("secrets.get", {
      name: "api/key",
      tool: "http.request",
      destination: "API.example.com",
    });
    expect(got["reference"]).toMatch(/^\{\{secret:api\/key#[0-9a-f]{32}\}\}$/);
    // Nothing is listed for it: an approver had to say yes, and says no more when it is used.
    expect(asked).toMatchObject([{ dangerous: true, destination: "api.example.com:443" }]);
    let sent = "";
    const request = (host: string, name = "http_request") =>
      guard.wrapTool(
        {
          ...{ name, description: "", inputSchema: {}, safety: "safe", references: ["token"] },
          target: () => ({ kind: "destination", host, port: 443 }),
        },
        ({ token }) => {
          sent = String(token);
          return { echo: token };
        },
      );
    const args = { token: got["reference"] };
    expect((await failure(request("evil.example").call(args))).code).toBe("ERR_DENIED");
    expect((await failure(request("api.example.com", "other").call(args))).code).toBe("ERR_DENIED");
    expect(sent).toBe("");
    expect(await request("api.example.com").call(args)).toEqual({ echo: "[SECRET:api/key]" });
    expect(sent).toBe(API_KEY);
    expect((await failure(request("api.example.com").call(args))).code).toBe("ERR_DENIED");
    expect(asked.length).toBe(1);
    const other = await rig({ vault, session: "another", answer: YES });
    const again = await call("secrets.get", {
      name: "api/key",
      tool: "t",
      destination: "a.example",
    });
    const stolen = other.guard.wrapTool(
      {
        ...{ name: "t", description: "", inputSchema: {}, safety: "safe", references: ["token"] },
        target: () => ({ kind: "destination", host: "a.example", port: 443 }),
      },
      () => "never",
    );
    expect((await failure(stolen.call({ token: again["reference"] }))).code).toBe("ERR_DENIED");
  });

  test("get: listed destinations are for any approval, others for none; handles can be required", async () => {
    const { call, vault, asked } = await rig({ answer: YES });
    const approver = await vault.approvals.approver(utf8("a passphrase of the tests"));
    const policy = { destinations: ["api.example.com"], commands: [], requiresHandle: true };
    await vault.approvals.destinations.set("api/key", policy, { approver });
    const at = (destination: string) =>
      call("secrets.get", { name: "api/key", tool: "http.request", destination });
    expect((await at("api.example.com:443"))["uses"]).toBe(1);
    expect(asked).toMatchObject([{ dangerous: false }]);
    expect((await failure(at("evil.example"))).code).toBe("ERR_NOT_FOUND");
    const plain = await failure(call("secrets.get", { name: "api/key" }));
    expect(plain).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      context: { hint: "Name the tool and the destination" },
    });
  });

  test("get: names that are not there and those that agents cannot use are one error", async () => {
    const { call } = await rig({ answer: YES });
    const errors = await Promise.all(
      ["nothing", "wallet/main", "system/x"].map(async (name) =>
        String(await failure(call("secrets.get", { name }))),
      ),
    );
    expect(new Set(errors).size).toBe(1);
    for (const args of [{ tool: "t" }, { destination: "a.example" }]) {
      const error = await failure(call("secrets.get", { name: "api/key", ...args }));
      expect(error.code).toBe("ERR_INVALID_ARGUMENT");
    }
    for (const destination of ["a b", "a.example:0", "a.example:70000", "https://a.example"]) {
      const args = { name: "api/key", tool: "t", destination };
      expect((await failure(call("secrets.get", args))).code).toBe("ERR_INVALID_ARGUMENT");
    }
  });

  test("list and delete see no reserved name; delete is dangerous", async () => {
    const { call, vault } = await rig({ answer: YES });
    const { secrets, count } = await call("secrets.list");
    expect(count).toBe(1);
    expect(secrets).toMatchObject([{ name: "api/key", version: 1, uses: 0 }]);
    expect((await failure(call("secrets.delete", { name: "wallet/main" }))).code).toBe(
      "ERR_DENIED",
    );
    expect(await failure(call("secrets.delete", { name: "no/such/name" }))).toMatchObject({
      code: "ERR_NOT_FOUND",
      message: expect.not.stringContaining("no/such/name"),
    });
    expect(await call("secrets.delete", { name: "api/key" })).toEqual({
      name: "api/key",
      deleted: true,
    });
    expect((await vault.secrets.list()).map(({ name }) => name)).toEqual(["wallet/main"]);
    const alone = await rig();
    expect((await failure(alone.call("secrets.delete", { name: "api/key" }))).code).toBe(
      "ERR_DENIED",
    );
  });

  test("request: a person enters the value, the agent gets the reference", async () => {
    const value = "entered-by-a-person-1";
    const requests: unknown[] = [];
    const entered = utf8(value);
    const { call, vault, guard } = await rig({
      async requestSecret(request) {
        requests.push(request);
        return entered;
      },
    });
    const result = await call("secrets.request", { name: "db/password", reason: "to migrate" });
    expect(result).toMatchObject({ reference: "{{secret:db/password}}", version: 1, masked: true });
    expect(JSON.stringify(result)).not.toContain(value);
    expect(requests).toEqual([{ name: "db/password", reason: "to migrate", session: "session-1" }]);
    expect((await vault.secrets.get("db/password")).value).toEqual(utf8(value));
    expect(guard.mask(value)).toBe("[SECRET:db/password]");
    expect(entered.every((byte) => byte === 0)).toBe(true);
  });

  test("the plain form: reserved names are not there, and the log has the agent's use", async () => {
    const { vault, guard, asked } = await rig({ answer: YES });
    const approver = await vault.approvals.approver(utf8(PASSPHRASE));
    const listed = { destinations: ["a.example"], commands: [], requiresHandle: false };
    await vault.approvals.destinations.set("api/key", listed, { approver });
    const got: unknown[] = [];
    const tool = guard.wrapTool(
      {
        ...{ name: "t", description: "", inputSchema: {}, safety: "safe", references: ["token"] },
        target: () => ({ kind: "destination", host: "a.example", port: 443 }),
      },
      ({ token }) => void got.push(token),
    );
    const [hidden, missing] = await Promise.all(
      ["wallet/main", "no/such"].map(async (name) =>
        String(await failure(tool.call({ token: `{{secret:${name}}}` }))),
      ),
    );
    expect(hidden).toBe(missing);
    // Nobody is asked about it either: that would tell that it is there.
    expect(asked).toEqual([]);
    await vault.approvals.destinations.set("wallet/main", listed, { approver });
    expect(String(await failure(tool.call({ token: "{{secret:wallet/main}}" })))).toBe(missing);
    expect(got).toEqual([]);
    await tool.call({ token: "{{secret:api/key}}" });
    expect(got).toEqual([API_KEY]);
    const read = (await vault.audit.tail()).findLast(({ action }) => action === "secret.get");
    expect(read).toMatchObject({ target: "api/key", actor: { kind: "agent" } });
  });

  test("request: entered elsewhere, not entered, and nobody to ask", async () => {
    const box: { vault?: Awaited<ReturnType<typeof rig>>["vault"]; enters: boolean } = {
      enters: true,
    };
    const made = await rig({
      async requestSecret({ name }) {
        if (box.enters) await box.vault?.secrets.set(name, utf8("typed-in-a-terminal"));
        return "elsewhere";
      },
    });
    box.vault = made.vault;
    expect(await made.call("secrets.request", { name: "a/b" })).toEqual({
      name: "a/b",
      reference: "{{secret:a/b}}",
      masked: true,
      version: 1,
    });
    expect(made.guard.mask("typed-in-a-terminal")).toBe("[SECRET:a/b]");
    box.enters = false;
    const error = await failure(made.call("secrets.request", { name: "a/b" }));
    expect(error.code).toBe("ERR_DENIED");
    const refusing = await rig({ requestSecret: async () => undefined });
    const alone = await rig();
    for (const { call } of [refusing, alone]) {
      expect(await failure(call("secrets.request", { name: "a/b" }))).toMatchObject({
        code: "ERR_DENIED",
        context: {
          hint: "A person can enter it in a terminal: lango security secrets set NAME",
        },
      });
    }
  });
});

describe("the tools of crypto", () => {
  test("encrypt and decrypt: a reference comes out, the plaintext only with an approval", async () => {
    const { call, asked, guard, scanner } = await rig({ answer: YES });
    const known = scanner.secretCount;
    const data = "the letter to the bank";
    const sealed = await call("crypto.encrypt", { data });
    expect(sealed["keyId"]).toBe("local:default");
    const { reference } = await call("crypto.decrypt", { data: sealed["ciphertext"] });
    expect(reference).toMatch(/^\{\{decrypt:[0-9a-f-]{36}\}\}$/);
    expect(asked).toEqual([]);
    // Nobody has it yet, and what nobody ever asks for is no load on the scanner.
    expect(scanner.secretCount).toBe(known);
    let got: unknown;
    const tool = guard.wrapTool(
      { name: "mail", description: "", inputSchema: {}, safety: "safe", references: ["body"] },
      ({ body }) => {
        got = body;
        return `sent ${body}`;
      },
    );
    const result = await tool.call({ body: `Dear all, ${reference}` });
    expect(got).toBe(`Dear all, ${data}`);
    expect(result).toMatch(/^sent Dear all, \[SECRET:decrypt:[0-9a-f-]{36}\]$/);
    expect(asked).toMatchObject([{ dangerous: true, destination: "tool mail" }]);
    // Known from here on, wherever it shows up.
    expect(guard.mask(data)).toMatch(/^\[SECRET:decrypt:[0-9a-f-]{36}\]$/);
    await tool.call({ body: reference });
    expect(got).toBe(data);
    const revealed = await rig({ answer: YES, vault: (await rig()).vault });
    const again = await revealed.call("crypto.encrypt", { data: "AAEC/w==", encoding: "base64" });
    const args = { data: again["ciphertext"], output: "plaintext" };
    const shown = await revealed.call("crypto.decrypt", { ...args, encoding: "base64" });
    expect(shown).toEqual({ plaintext: "AAEC/w==" });
    expect(revealed.asked).toMatchObject([{ tool: "crypto_decrypt", dangerous: true }]);
    expect((await failure(revealed.call("crypto.decrypt", args))).code).toBe(
      "ERR_INVALID_ARGUMENT",
    );
  });

  test("a decrypted value is of its session, for its time, and one of the newest", async () => {
    const { call, vault, references } = await rig();
    const { ciphertext } = await call("crypto.encrypt", { data: "some plaintext" });
    const { reference } = await call("crypto.decrypt", { data: ciphertext });
    const id = String(reference).slice("{{decrypt:".length, -2);
    const use = (session: string) =>
      ({
        reference: { kind: "decrypt", id },
        sink: { kind: "parameter", tool: "t", parameter: "p" },
        target: { kind: "tool", name: "t" },
        session,
      }) as const;
    expect(await references.policyOf(use("session-1"))).toBeDefined();
    expect(await references.policyOf(use("session-2"))).toBeUndefined();
    expect((await failure(references.open(use("session-2"), {}))).code).toBe("ERR_NOT_FOUND");
    references.close();
    expect(await references.policyOf(use("session-1"))).toBeUndefined();

    const { createVaultReferences } = await import("../src/index.ts");
    const few = createVaultReferences({ vault, decryptedMs: 20, maxDecrypted: 2 });
    const values = [utf8("first"), utf8("second"), utf8("third")];
    for (const value of values) few.keep("s", value);
    expect(values.map((value) => value[0] === 0)).toEqual([true, false, false]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(values.map((value) => value[0] === 0)).toEqual([true, true, true]);
  });

  test("decrypt: only with the key that was named, and altered input is one error", async () => {
    const { call, vault } = await rig();
    await vault.keys.create({ name: "reports", type: "encryption" });
    const { ciphertext } = await call("crypto.encrypt", { data: "some text", keyId: "reports" });
    const used = (await vault.audit.tail()).findLast(({ action }) => action === "key.wrapKey");
    expect(used).toMatchObject({ target: "local:reports", actor: { kind: "agent" } });
    await call("crypto.decrypt", { data: ciphertext, keyId: "local:reports" });
    const bytes = fromBase64(String(ciphertext))!;
    bytes[bytes.length - 1]! ^= 1;
    for (const args of [{ data: ciphertext, keyId: "default" }, { data: toBase64(bytes) }]) {
      expect((await failure(call("crypto.decrypt", args))).code).toBe("ERR_DECRYPTION_FAILED");
    }
  });

  test.each(["hmac-sha256", "ecdsa-p256", "secp256k1", "ed25519"] as const)(
    "sign and verify with %s",
    async (algorithm) => {
      const { call, vault } = await rig({ answer: YES });
      await vault.keys.create({ name: "release", type: "signing", algorithm });
      const signed = await call("crypto.sign", { data: "v1.0.0", keyId: "release" });
      expect(signed).toMatchObject({
        keyId: "local:release",
        kind: algorithm.startsWith("hmac") ? "mac" : "signature",
      });
      const check = (data: string) =>
        call("crypto.verify", { data, keyId: "release", signature: signed["signature"] });
      expect(await check("v1.0.0")).toEqual({ valid: true, keyId: "local:release" });
      expect(await check("v1.0.1")).toEqual({ valid: false, keyId: "local:release" });
      if (algorithm === "ed25519") {
        const { spki } = await vault.keys.publicKey("release");
        const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
        const signature = Buffer.from(String(signed["signature"]), "base64");
        expect(verify(null, Buffer.from("v1.0.0"), key, signature)).toBe(true);
      }
    },
  );

  test("a key of another type, and none named where default does not sign, say what to do", async () => {
    const { call } = await rig({ answer: YES });
    const error = await failure(call("crypto.sign", { data: "x" }));
    expect(error).toMatchObject({ code: "ERR_KEY_USAGE" });
    expect(error.context.hint).toContain("crypto.keys");
  });

  test("hash", async () => {
    const { call } = await rig();
    for (const algorithm of ["sha256", "sha384", "sha512"]) {
      const hash = createHash(algorithm)
        .update(Buffer.from([0, 255]))
        .digest("hex");
      expect(await call("crypto.hash", { data: "AP8=", encoding: "base64", algorithm })).toEqual({
        ...{ hash, algorithm },
      });
    }
    expect((await call("crypto.hash", { data: "" }))["hash"]).toMatch(/^e3b0c442/);
    expect((await failure(call("crypto.hash", { data: "", algorithm: "md5" }))).message).toBe(
      "algorithm must be one of sha256, sha384, sha512",
    );
  });

  test("keys", async () => {
    const { call, vault } = await rig();
    await vault.keys.create({ name: "release", type: "signing", algorithm: "ed25519" });
    expect(await call("crypto.keys")).toMatchObject({
      count: 2,
      keys: [
        { keyId: "local:default", type: "encryption", state: "enabled" },
        { keyId: "local:release", type: "signing", algorithm: "ed25519" },
      ],
    });
  });
});

test("the definitions: names, safety, annotations and schemas", async () => {
  const { tools } = await rig();
  const rows = tools.map(({ definition: { name, safety, annotations, inputSchema } }) => [
    name,
    safety,
    annotations?.readOnlyHint === true ? "reads" : "writes",
    (inputSchema["required"] as string[]).join(" "),
    Object.keys(inputSchema["properties"] as object).join(" "),
  ]);
  expect(rows).toEqual([
    ["secrets.store", "moderate", "writes", "name value", "name value encoding"],
    ["secrets.get", "moderate", "reads", "name", "name tool destination uses minutes"],
    ["secrets.list", "safe", "reads", "", ""],
    ["secrets.delete", "dangerous", "writes", "name", "name"],
    ["secrets.request", "moderate", "writes", "name", "name reason"],
    ["crypto.encrypt", "moderate", "reads", "data", "data keyId encoding"],
    ["crypto.decrypt", "moderate", "reads", "data", "data keyId output encoding"],
    ["crypto.sign", "dangerous", "reads", "data", "data keyId encoding"],
    ["crypto.verify", "safe", "reads", "data signature", "data signature keyId encoding"],
    ["crypto.hash", "safe", "reads", "data", "data algorithm encoding"],
    ["crypto.keys", "safe", "reads", "", ""],
  ]);
  for (const { definition } of tools) {
    expect(definition.inputSchema["$schema"]).toBe("https://json-schema.org/draft/2020-12/schema");
    expect(definition.annotations?.openWorldHint).toBe(false);
    expect(definition.description.endsWith(".")).toBe(true);
  }
});
