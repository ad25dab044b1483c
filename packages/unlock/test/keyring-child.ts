// Works on the keyring of the session that it runs in, as `[package, ...steps]` of its arguments say; prints what came back.
import { createOsKeyring } from "../src/index.ts";

const [packageName, ...steps] = process.argv.slice(2);
const keyring = createOsKeyring({
  vaultId: "00112233445566778899aabbccddeeff",
  timeoutMs: 3_000,
  import: (name) =>
    name === packageName
      ? import(name)
      : Promise.reject(Object.assign(new Error(name), { code: "ERR_MODULE_NOT_FOUND" })),
});

const step = async (text: string): Promise<unknown> => {
  const [verb, value] = text.split("=", 2);
  switch (verb) {
    case "get": {
      const secret = await keyring.get("passphrase");
      return secret === undefined ? null : new TextDecoder().decode(secret);
    }
    case "get-other":
      return (await keyring.get("master-key")) ?? null;
    case "set":
      return (await keyring.set("passphrase", new TextEncoder().encode(value))) ?? "set";
    default:
      return keyring.delete("passphrase");
  }
};

const results: unknown[] = [];
for (const text of steps) {
  try {
    results.push(await step(text));
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    results.push({ code, message });
  }
}
// A call that hangs in the native part would keep the process.
process.stdout.write(JSON.stringify(results), () => process.exit(0));
