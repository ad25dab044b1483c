import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Pkcs11ProviderOptions } from "@lango/crypto-pkcs11";
import type { PKCS11 } from "pkcs11js";
import { pkcs11Module } from "../../../../tooling/services/pkcs11.ts";
import { PIN } from "./softhsm.ts";

/** An NSS database of its own, with a PIN. The module is initialised in this process for it, and finalised again. */
export function makeNss(): Pkcs11ProviderOptions & { remove: () => void } {
  const modulePath = pkcs11Module("nss");
  const folder = mkdtempSync(path.join(tmpdir(), "lango-nss-"));
  const libraryParameters = `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=`;
  const native = createRequire(import.meta.url)("pkcs11js") as typeof import("pkcs11js");
  const module: PKCS11 = new native.PKCS11();
  module.load(modulePath);
  module.C_Initialize({ libraryParameters, flags: 0 });
  const slot = module
    .C_GetSlotList(true)
    .find((each) => module.C_GetTokenInfo(each).label.trim() === "NSS Certificate DB")!;
  const session = module.C_OpenSession(slot, native.CKF_RW_SESSION | native.CKF_SERIAL_SESSION);
  module.C_Login(session, native.CKU_SO, "");
  module.C_InitPIN(session, PIN);
  module.C_Finalize();
  module.close();
  return {
    modulePath,
    initialize: { libraryParameters },
    token: { label: "NSS Certificate DB" },
    pin: Buffer.from(PIN),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
