import type { Handler } from "../cli/command.ts";
import { table } from "../cli/output.ts";
import { installCommand, installedVersion, PROVIDER_NAMES } from "../cli/provider-packages.ts";
import { readVersion } from "../version.ts";

/** Lists the providers, and how to install those that are missing. */
export const run: Handler = async ({ home }) => {
  const providers = [
    { name: "local", installed: true, version: readVersion(), install: null },
    ...PROVIDER_NAMES.map((name) => {
      const packageName = `@lango/crypto-${name}`;
      const version = installedVersion(packageName, home) ?? null;
      const installed = version !== null;
      return {
        name,
        installed,
        version,
        install: installed ? null : installCommand(packageName, home),
      };
    }),
  ];
  return {
    data: { providers },
    text: table(
      ["PROVIDER", "VERSION", "TO INSTALL"],
      providers.map(({ name, version, install }) => [
        name,
        version ?? "not installed",
        install ?? (name === "local" ? "built in" : ""),
      ]),
    ),
  };
};
