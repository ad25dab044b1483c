import { AWS_FAULTS } from "./aws.ts";
import { AZURE_FAULTS } from "./azure.ts";
import { GCP_FAULTS, GCP_REST_FAULTS } from "./gcp.ts";
import type { FaultRow } from "./row.ts";
import { RPC_FAULTS } from "./rpc.ts";

/** `docs/faults.md`: what the tests of this folder assert, as a page. */
export const faultsDocument = (): string =>
  [
    HEAD,
    section("AWS KMS", "moto", AWS_FAULTS),
    section("Google Cloud KMS over gRPC", "a stand-in of our own", GCP_FAULTS),
    section("Google Cloud KMS over REST", "a stand-in of our own", GCP_REST_FAULTS),
    section("Azure Key Vault", "a stand-in of our own", AZURE_FAULTS),
    rpcSection(),
  ].join("\n");

const HEAD = `# Faults of the services, and what comes of them

Made by \`node tooling/faults/write-document.ts\` from the tables that the tests in \`tooling/faults\` assert: each fault is injected by a proxy between the
provider, in its full dress (\`createResilientProvider\` with its defaults but for the pauses), and a server. PKCS#11 has its faults in its own package.

- **Error**: what the caller gets while the fault lasts. **Requests**: how many of one call reach the service's address until then; three retries make four.
- **Struck once**: what a call comes to when only its first request is struck. **Breaker**: its state when the fault has lasted for five calls.
- **Fallback**: whether a composite with \`fallback\` does the work with the local key, and says so. Only a service that cannot be reached allows that:
  throttling, refused credentials and wrong answers never do.
- When the fault is over, the same provider works again in every row: where the breaker was open, after one probe.
- \`createKey\` and \`rotateKey\` are sent once whatever happens: when the answer is lost, the caller gets \`ERR_UNAVAILABLE\`, and the service has made one key or version.
`;

const section = (service: string, server: string, rows: readonly FaultRow[]): string =>
  [
    `## ${service} (in front of ${server})`,
    "",
    "| class | fault | error | requests | struck once | breaker | fallback |",
    "|---|---|---|---|---|---|---|",
    ...rows.map(line),
    "",
  ].join("\n");

const line = ({ class: kind, name, operation, expected }: FaultRow): string => {
  const { code, attempts, struckOnce, breaker, fallback } = expected;
  const where = operation === undefined ? "" : ` (${operation})`;
  const once = struckOnce === "ok" ? "ok" : `\`${struckOnce}\``;
  const cells = [
    kind,
    name + where,
    `\`${code}\``,
    attempts,
    once,
    breaker,
    fallback ? "yes" : "no",
  ];
  return `| ${cells.join(" | ")} |`;
};

const rpcSection = (): string =>
  [
    "## A companion (the reference signer, in a process of its own)",
    "",
    "Here 16 requests for signatures are always in flight when the fault comes. Every one ends within its deadline (1.5 s), with a signature or an error of",
    "the list; requests whose connection broke are repeated under their id. The key writes down each use. When all is closed, no timer and no socket is left.",
    "",
    "| fault | errors | works again | uses of the key for one request |",
    "|---|---|---|---|",
    ...RPC_FAULTS.map(({ what, codes, recovers, uses }) => {
      const errors = codes.length === 0 ? "none" : codes.map((code) => `\`${code}\``).join(", ");
      const twice =
        "once; twice where it was killed between key and store, and one signature is given out";
      const cells = [what, errors, recovers ? "yes" : "no", uses === "once" ? "once" : twice];
      return `| ${cells.join(" | ")} |`;
    }),
    "",
  ].join("\n");
