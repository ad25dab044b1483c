import { describe, expect, test } from "vitest";
import { bytes, makeVault, newHome, reopen, text } from "./helpers.ts";

describe("secrets", () => {
  test("a value comes back, in this process and after opening again", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    expect(await vault.secrets.set("openai/api-key", bytes("sk-abc123"))).toEqual({
      name: "openai/api-key",
      version: 1,
      created: true,
    });
    expect(text((await vault.secrets.get("openai/api-key")).value)).toBe("sk-abc123");
    await vault.close();
    const again = await reopen(home);
    expect(text((await again.secrets.get("openai/api-key")).value)).toBe("sk-abc123");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  });
});
