import type { Handler } from "../cli/command.ts";
import { COMMANDS } from "../table/index.ts";

/** One step of what to do after a break-in. */
export interface IncidentStep {
  readonly step: string;
  readonly commands: readonly string[];
  readonly note?: string;
}

const has = (path: string): boolean => COMMANDS.some((command) => command.path === path);

/** The steps, in order, with commands that this version has. */
export const incidentSteps = (): readonly IncidentStep[] => [
  {
    step: "Rotate ENCRYPTION_KEY, the vault key and every data key",
    commands: [
      "(umask 077; openssl rand -hex 32 > new-key)",
      "lango security rotate --compromised --new-master-key-fd 3 3<new-key",
      "export ENCRYPTION_KEY_FILE=$PWD/new-key; unset ENCRYPTION_KEY",
    ],
    note: "Without ENCRYPTION_KEY and LANGO_MASTER_KEY: lango security rotate --compromised",
  },
  {
    step: "Change every passphrase that opens the vault, and remove what else opens it",
    commands: [
      "lango security migrate-passphrase",
      "lango security slots list",
      "lango security slots remove ID",
      "lango security keyring clear",
      "lango security recovery setup",
    ],
  },
  {
    step: "Rotate all tokens now",
    commands: ["openssl rand -base64 24", "lango doctor --check", "lango doctor --rotation"],
    note: "ADMIN_TOKEN, AGENT_SERVER_TOKEN with AUTH_TOKEN, LANGO_GATEWAY_TOKEN, the passwords of Redis and of the database",
  },
  {
    step: "End every session",
    commands: [
      ...(has("sessions revoke") ? ["lango sessions revoke --all"] : []),
      "lango approvals list",
      "lango approvals revoke ID",
      "lango companion list",
      "lango companion revoke DEVICE",
    ],
    note: "Grants of agents and paired devices count as sessions",
  },
  {
    step: "Review the audit log",
    commands: [
      "lango audit verify --rows",
      "lango audit tail -n 200",
      ...(has("audit export") ? ["lango audit export --format jsonl"] : []),
    ],
  },
  {
    step: "Replace the client secrets of OAuth, and every other secret that was kept here, where they were issued",
    commands: [
      "lango security secrets list",
      "lango security secrets set NAME",
      "lango security secrets history NAME",
    ],
    note: "A value that was read is known: no rotation of keys takes it back",
  },
];

/** What to do after a break-in. Needs no vault, which may be what was lost. */
export const run: Handler = async () => {
  const steps = incidentSteps();
  return {
    data: { steps },
    text: steps
      .map(({ step, commands, note }, index) =>
        [
          `${index + 1}. ${step}`,
          ...commands.map((command) => `     ${command}`),
          ...(note === undefined ? [] : [`   ${note}.`]),
        ].join("\n"),
      )
      .join("\n"),
  };
};
