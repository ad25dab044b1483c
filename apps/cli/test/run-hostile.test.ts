import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { environment, LANGO, lango, sharedVaultHome } from "./support.ts";
import { Terminal } from "./terminal.ts";

const CHILD = fileURLToPath(new URL("./hostile-child.ts", import.meta.url));
const SECRETS = {
  odd: `Tr0ub"4dor'&<3>/\\$x=ä zed`,
  lines: "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END KEY-----",
  leaves: JSON.stringify({ type: "service_account", client: { secret: "GOCSPX-abcdefgh12345" } }),
};
const WORDS = ["--env", "ODD=odd", "--env", "LINES=lines", "--env", "LEAVES=leaves"];
const command = (cut: string) => ["run", ...WORDS, "--", process.execPath, CHILD, cut];

let home: string;
beforeAll(async () => {
  home = await sharedVaultHome();
  for (const [name, input] of Object.entries(SECRETS)) {
    const set = await lango(["security", "secrets", "set", name], { home, input });
    expect(set.code, set.stderr).toBe(0);
  }
});

/** Base64 keeps a few characters with bits of its neighbours, and what stood before the secret. */
const MASKED = /^[\s\S]{0,7}(\[SECRET:(odd|lines|leaves)\][\s\S]{0,4})+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours
const COLOUR = /\u001b\[\d*m/g;

/** What stands in the place of each form, by its name; a form that was printed twice is there twice. */
const shown = (output: string): [name: string, form: string][] =>
  [...output.replaceAll(COLOUR, "").matchAll(/([^|\n]+)\|<(.*?)>\r?\n/gs)].map(
    ([, name = "", form = ""]) => [name, form],
  );
const notMasked = (output: string) => shown(output).filter(([, form]) => !MASKED.test(form));

/** As many as the child prints. */
const FORMS = 40;

describe("a hostile command that prints its secrets in every form", () => {
  test.each(["whole", "slow", "colours"])("is masked on both streams: %s", async (cut) => {
    const ran = await lango(command(cut), { home });
    expect(ran.code, ran.stderr).toBe(0);
    for (const output of [ran.bytes.toString("latin1"), ran.stderr]) {
      expect(shown(output)).toHaveLength(FORMS);
      expect(notMasked(output)).toEqual([]);
    }
  });

  test.each(["whole", "slow", "colours"])("is masked on a terminal: %s", async (cut) => {
    const env = environment(home, { TERM: "xterm-256color" });
    const terminal = new Terminal(process.execPath, [...LANGO, ...command(cut)], env);
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(shown(terminal.output)).toHaveLength(2 * FORMS);
    expect(notMasked(terminal.output)).toEqual([]);
  });
});
