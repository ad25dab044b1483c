import { type ReferenceResolver, resolveReferences } from "@lango/guard";

// The vault is one; here are two secrets in memory.
const secrets = new Map([
  ["github", { value: "ghp_0123456789", destinations: ["api.github.com"] }],
  ["deploy", { value: "d3pl0y-key", destinations: ["ci.example.com"] }],
]);
const resolver: ReferenceResolver = {
  async policyOf({ reference }) {
    const secret = reference.kind === "secret" ? secrets.get(reference.name) : undefined;
    return secret && { destinations: secret.destinations, commands: [] };
  },
  async open({ reference }) {
    const name = reference.kind === "secret" ? reference.name : "";
    return new TextEncoder().encode(secrets.get(name)?.value);
  },
};

const use = {
  sink: { kind: "header", header: "authorization" },
  target: { kind: "destination", host: "api.github.com", port: 443 },
  resolver,
} as const;
const header = await resolveReferences({ ...use, template: "Bearer {{secret:github}}" });
console.log(new TextDecoder().decode(header)); // Bearer ghp_0123456789
header.fill(0);

// A secret that may not go there, and one that there is not: the same error.
for (const name of ["deploy", "nothing"]) {
  const template = `Bearer {{secret:${name}}}`;
  console.log(await resolveReferences({ ...use, template }).catch((error) => error.message)); // A reference names no secret that may be used here
}
