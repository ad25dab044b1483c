// Asks for an approval at its terminal, as `mcp serve` and `run` do, and prints the decision. Arguments: the home, the passphrase,
// the safety, and the requester: a process id, `child` (of this process, with this terminal) or `session` (with none).
import { spawn } from "node:child_process";
import { isCryptoError, utf8 } from "@lango/crypto-core";
import { createBroker, createTerminalSurface, type Safety } from "@lango/guard";
import { openVault } from "@lango/vault";
import { terminalDevice } from "../src/terminal/device.ts";

const [home = "", passphrase = "", safety = "", requester = ""] = process.argv.slice(2);
const vault = await openVault({
  home,
  unlock: async (slots) => ({
    credential: {
      kind: "passphrase",
      source: "test",
      secret: utf8(passphrase),
      ambient: false,
      slotIds: slots.map(({ id }) => id),
    },
    skipped: [],
  }),
});
const child = /^[0-9]+$/.test(requester)
  ? undefined
  : spawn("sleep", ["60"], { detached: requester === "session", stdio: "ignore" });
const processId = child?.pid ?? Number(requester);
const broker = createBroker({
  vault: vault.approvals,
  policy: () => vault.approvals.policy.get(),
  timeoutMs: Number(process.env["APPROVAL_MS"] ?? 30_000),
});
broker.addSurface(
  createTerminalSurface({
    device: terminalDevice(),
    verify: (typed) =>
      vault.approvals.approver(typed).then(
        () => true,
        () => false,
      ),
  }),
);
console.log(`pid=${process.pid}.`);
const action = {
  session: "s1",
  tool: "exec",
  binary: "/bin/rm",
  argv: ["rm", "x\u001b[2J\nTool: ls"],
  arguments: { note: "\u202e\u0007" },
};
try {
  const { via, by, grantId } = await broker.decide(action, {
    safety: safety as Safety,
    required: true,
    requester: { processId },
  });
  console.log(`approved via=${via} by=${by} grant=${grantId}.`);
} catch (error) {
  console.log(`${isCryptoError(error) ? error.code : error} ${(error as Error).message}.`);
} finally {
  child?.kill("SIGKILL");
  await vault.close();
}
