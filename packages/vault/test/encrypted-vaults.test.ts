import { makeEncrypted } from "./helpers.ts";

// The same tests once more, of vaults whose database is encrypted.
makeEncrypted();
await import("./keys.test.ts");
await import("./secrets.test.ts");
await import("./slot-changes.test.ts");
await import("./slots.test.ts");
