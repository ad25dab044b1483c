import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import pkcs11js from "pkcs11js";

const MODULES = [
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib64/pkcs11/libsofthsm2.so",
  "/usr/local/lib/softhsm/libsofthsm2.so",
  "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
const PIN = "1234";
const LABEL = "bench";
// DER of the object identifier of P-256.
const P256 = Buffer.from("06082a8648ce3d030107", "hex");

/** A new token with one P-256 key pair, and the session of the bare loop. */
export interface Softhsm {
  readonly modulePath: string;
  readonly label: string;
  readonly pin: Uint8Array;
  /** For another process that loads the module. */
  readonly env: { readonly SOFTHSM2_CONF: string };
  /** One signature by the shortest way there is: two synchronous calls. */
  readonly signBare: (digest: Buffer) => Buffer;
  close(): void;
}

/** Makes a token in a folder of its own; `undefined` where SoftHSM is not installed. */
export function makeSofthsm(): Softhsm | undefined {
  const modulePath = MODULES.find((file) => existsSync(file));
  if (modulePath === undefined) return undefined;
  const folder = mkdtempSync(path.join(tmpdir(), "lango-softhsm-"));
  mkdirSync(path.join(folder, "tokens"));
  const config = path.join(folder, "softhsm2.conf");
  const tokens = path.join(folder, "tokens");
  writeFileSync(config, `directories.tokendir = ${tokens}\nobjectstore.backend = file\n`);
  // The library reads it when it is initialized.
  process.env["SOFTHSM2_CONF"] = config;

  const module = new pkcs11js.PKCS11();
  module.load(modulePath);
  module.C_Initialize();
  const empty = module.C_GetSlotList(true)[0] as Buffer;
  module.C_InitToken(empty, PIN, LABEL.padEnd(32));
  // The token moves to a slot of its own when it is initialized.
  const slot = module
    .C_GetSlotList(true)
    .find((slot) => module.C_GetTokenInfo(slot).label.trim() === LABEL) as Buffer;
  const flags = pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION;
  const session = module.C_OpenSession(slot, flags);
  module.C_Login(session, pkcs11js.CKU_SO, PIN);
  module.C_InitPIN(session, PIN);
  module.C_Logout(session);
  module.C_Login(session, pkcs11js.CKU_USER, PIN);
  const common = [
    { type: pkcs11js.CKA_TOKEN, value: true },
    { type: pkcs11js.CKA_LABEL, value: LABEL },
    { type: pkcs11js.CKA_ID, value: Buffer.from([1]) },
  ];
  const { privateKey } = module.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
    [
      ...common,
      { type: pkcs11js.CKA_VERIFY, value: true },
      { type: pkcs11js.CKA_EC_PARAMS, value: P256 },
    ],
    [
      ...common,
      { type: pkcs11js.CKA_PRIVATE, value: true },
      { type: pkcs11js.CKA_SENSITIVE, value: true },
      { type: pkcs11js.CKA_SIGN, value: true },
    ],
  );
  return {
    modulePath,
    label: LABEL,
    pin: Buffer.from(PIN),
    env: { SOFTHSM2_CONF: config },
    signBare: (digest) => {
      module.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA }, privateKey);
      return module.C_Sign(session, digest, Buffer.alloc(64));
    },
    close: () => {
      module.C_Finalize();
      module.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
