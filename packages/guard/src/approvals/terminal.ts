import { type Bytes, zero } from "@lango/crypto-core";
import { isTerminalApart } from "./processes.ts";
import { escapeText } from "./summary.ts";
import type { Answer, ApprovalRequest, Scope, Surface } from "./types.ts";

/** A terminal at which a person sits. The command opens `/dev/tty`; standard input and output are not it. */
export interface TerminalDevice {
  /** Its device number, as in `/proc/PID/stat`. 0: not known. `undefined`: there is no terminal. */
  number(): number | undefined;
  /**
   * Shows lines and reads one. What was typed before they were shown does not count.
   *
   * @returns The bytes of the line, which are zeroed here. `undefined`: the person gave up.
   */
  ask(
    question: {
      readonly lines: readonly string[];
      readonly label: string;
      readonly hidden: boolean;
    },
    signal: AbortSignal,
  ): Promise<Bytes | undefined>;
}

export interface TerminalSurfaceOptions {
  readonly device: TerminalDevice;
  /**
   * Whether a passphrase is the vault's. Absent: a yes at this terminal never counts for what is dangerous.
   *
   * @param passphrase - Zeroed afterwards.
   */
  readonly verify?: (passphrase: Uint8Array) => Promise<boolean>;
}

const ATTEMPTS = 3;
const SHORT_GRANT_MINUTES = 15;

/**
 * Asks at a terminal, one question at a time. For a dangerous request the person types the passphrase, and the terminal must be
 * out of the requester's reach; where that cannot be told (not Linux, no process id), it does not count.
 */
export const createTerminalSurface = ({ device, verify }: TerminalSurfaceOptions): Surface => {
  let turn: Promise<unknown> = Promise.resolve();

  const ask = async (request: ApprovalRequest, signal: AbortSignal): Promise<Answer> => {
    signal.throwIfAborted();
    const choices = choicesFor(request);
    const lines = ["", "An agent asks for your approval.", ...request.summary.map((l) => `  ${l}`)];
    const label = `${choices.map(({ label }) => label).join(", ")}, [N]o: `;
    const typed = await device.ask({ lines, label, hidden: false }, signal);
    const letter = new TextDecoder().decode(typed).trim().toLowerCase();
    const choice = choices.find(({ key }) => key === letter);
    const approved =
      choice !== undefined && (!request.dangerous || (await isApprover(request, signal)));
    return { approved, by: "terminal", ...(approved && { scope: choice.scope }) };
  };

  const isApprover = async (request: ApprovalRequest, signal: AbortSignal): Promise<boolean> => {
    for (let attempt = 1; verify && attempt <= ATTEMPTS; attempt += 1) {
      const label = `Passphrase, to approve ${escapeText(request.tool)}: `;
      const passphrase = await device.ask({ lines: [], label, hidden: true }, signal);
      try {
        if (passphrase === undefined || passphrase.length === 0) return false;
        if (await verify(passphrase)) return true;
      } finally {
        zero(passphrase);
      }
    }
    return false;
  };

  return {
    name: "terminal",
    counts({ dangerous, requester }) {
      const number = device.number();
      if (number === undefined) return false;
      if (!dangerous) return true;
      const { processId } = requester;
      return verify !== undefined && processId !== undefined && isTerminalApart(number, processId);
    },
    ask(request, signal) {
      const mine = turn.then(() => ask(request, signal));
      turn = mine.catch(() => undefined);
      return mine;
    },
  };
};

interface Choice {
  readonly key: string;
  readonly label: string;
  readonly scope: Scope;
}

const choicesFor = ({ binary, destination, requester }: ApprovalRequest): readonly Choice[] => [
  { key: "y", label: "[y]es, once", scope: "once" },
  {
    key: "m",
    label: `[m] the same for ${SHORT_GRANT_MINUTES} minutes`,
    scope: { minutes: SHORT_GRANT_MINUTES },
  },
  ...(requester.processId === undefined
    ? []
    : [{ key: "p", label: "[p] for this process tree", scope: "process-tree" as const }]),
  ...(binary === undefined
    ? []
    : [{ key: "c", label: "[c] for this command", scope: "command" as const }]),
  ...(destination === undefined
    ? []
    : [{ key: "d", label: "[d] for this destination", scope: "destination" as const }]),
];
