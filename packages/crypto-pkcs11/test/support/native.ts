import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { PIN, type SoftHsm } from "./softhsm.ts";

const pkcs11js = createRequire(import.meta.url).resolve("pkcs11js");

/**
 * Does something to a token from another process, with pkcs11js itself: `p` is the package, `m` the module, `s` a session of
 * the user. What the code returns comes back.
 */
export function onToken(hsm: SoftHsm, code: string, label = "t1"): unknown {
  const program = `
    const p = require(${JSON.stringify(pkcs11js)});
    const m = new p.PKCS11();
    m.load(${JSON.stringify(hsm.modulePath)});
    m.C_Initialize();
    const slot = m.C_GetSlotList(true).find((each) => m.C_GetTokenInfo(each).label.trim() === ${JSON.stringify(label)});
    const s = m.C_OpenSession(slot, p.CKF_RW_SESSION | p.CKF_SERIAL_SESSION);
    m.C_Login(s, p.CKU_USER, ${JSON.stringify(PIN)});
    const find = (template) => { m.C_FindObjectsInit(s, template); const all = m.C_FindObjects(s, 100); m.C_FindObjectsFinal(s); return all; };
    const result = (() => { ${code} })();
    m.C_Finalize();
    process.stdout.write(JSON.stringify(result ?? null));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", program], {
    encoding: "utf8",
    env: { ...process.env, ...hsm.env },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Process ids of the children of a process, by default this one, that run a module. */
export function moduleProcesses(parent: number = process.pid): number[] {
  const { stdout } = spawnSync("ps", ["-o", "pid=,args=", "--ppid", String(parent)], {
    encoding: "utf8",
  });
  return stdout
    .split("\n")
    .filter((line) => /child\.[jt]s/.test(line))
    .map((line) => Number.parseInt(line, 10));
}
