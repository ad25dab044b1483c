import type { Command, Option } from "../cli/command.ts";

const DEVICE = { name: "DEVICE" };

const LISTEN: Option = { type: "string", value: "HOST:PORT", summary: "" };
const NAME: Option = {
  type: "string",
  value: "NAME",
  summary: "what the other device calls this one (the name of the machine)",
};
const COMPARE: Option = {
  type: "boolean",
  summary: "compare six digits on both devices instead of typing a code",
};
const CODE_FD: Option = { type: "string", value: "N", summary: "" };

export const COMPANION_COMMANDS: readonly Command[] = [
  {
    path: "companion pair",
    summary: "pair this machine with a second device that keeps keys",
    examples: [
      "lango companion pair",
      "lango companion pair --url https://192.168.1.100:8443",
      "lango companion pair --listen 0.0.0.0:8443",
    ],
    options: {
      url: {
        type: "string",
        value: "URL",
        summary:
          "address of the other device (security.signer.rpcUrl, or looked for on the local network: experimental)",
      },
      listen: { ...LISTEN, summary: "show a code and wait here for the other device" },
      as: {
        type: "string",
        value: "ROLE",
        choices: ["agent", "companion"],
        summary: "what this machine is: agent (the default), which asks, or companion, which signs",
      },
      compare: COMPARE,
      name: NAME,
      "code-fd": {
        ...CODE_FD,
        summary: "read the code from file descriptor N; with --listen, write it there",
      },
    },
    unlocks: true,
    load: () => import("../commands/companion-pair.ts"),
  },
  {
    path: "companion list",
    summary: "list the paired devices; not verified: needs no passphrase",
    examples: ["lango companion list", "lango companion list --json"],
    unlocks: true,
    load: () => import("../commands/companion-list.ts"),
  },
  {
    path: "companion rename",
    summary: "give a paired device another name here",
    examples: ["lango companion rename localhost phone"],
    positionals: [DEVICE, { name: "NAME" }],
    unlocks: true,
    writes: true,
    load: () => import("../commands/companion-rename.ts"),
  },
  {
    path: "companion revoke",
    summary: "take a paired device out; a connection with it drops at once",
    examples: ["lango companion revoke phone"],
    positionals: [DEVICE],
    unlocks: true,
    writes: true,
    load: () => import("../commands/companion-revoke.ts"),
  },
  {
    path: "companion confirm",
    summary: "take a device in again that a restored database suspended",
    examples: ["lango companion confirm phone"],
    positionals: [DEVICE],
    unlocks: true,
    writes: true,
    load: () => import("../commands/companion-confirm.ts"),
  },
  {
    path: "companion serve",
    summary: "be the companion: answer paired agents with the keys of this vault, asking first",
    examples: [
      "lango companion serve --pair",
      "lango companion serve --listen 192.168.1.100:8443 --allow unwrapKey=agent-data",
    ],
    options: {
      pair: { type: "boolean", summary: "show a code first, for one agent that is to be paired" },
      listen: { ...LISTEN, summary: "where agents come to (every address, port 8443)" },
      connect: {
        type: "string",
        value: "URL",
        summary: "go to an agent that listens, such as a gateway, instead",
      },
      allow: {
        type: "string",
        value: "METHOD[=KEY]",
        multiple: true,
        summary: "do not ask for sign, decrypt, unwrapKey, mac or wallet.sign, with KEY or any key",
      },
      wallet: {
        type: "string",
        value: "KEY",
        multiple: true,
        summary: "a secp256k1 key that signs transactions, and nothing else",
      },
      "no-advertise": {
        type: "boolean",
        summary: "do not announce it on the local network (mDNS, experimental)",
      },
      compare: COMPARE,
      name: NAME,
      "code-fd": { ...CODE_FD, summary: "with --pair: write the code to file descriptor N" },
    },
    unlocks: true,
    load: () => import("../commands/companion-serve.ts"),
  },
];
