import { CryptoError } from "./errors.ts";
import type { ProviderModule } from "./provider.ts";

export interface LoadProviderOptions {
  /**
   * The import of the program that depends on the provider: `(specifier) => import(specifier)` written in that program. One
   * written here could not see its packages in a strict `node_modules`.
   */
  readonly import: (specifier: string) => Promise<unknown>;
  /** The command that installs a package, for the error's hint. Default: `npm install <package>`. */
  readonly installHint?: ((packageName: string) => string) | undefined;
}

const SHORT_NAME = /^[a-z][a-z0-9-]{0,63}$/;
// A package of a third party says that it is a provider by its scope or its prefix. Any other word is one of ours: to
// try the plain word as well would load whatever someone published under it. Paths and URLs match neither.
const PACKAGE_NAME =
  /^(?:@[a-z0-9][a-z0-9._-]*\/[a-z0-9][a-z0-9._-]*|lango-crypto-[a-z0-9][a-z0-9._-]*)$/;

/**
 * Loads a provider package.
 *
 * @param name - `aws-kms` for `@lango/crypto-aws-kms`; or the full name of another package, `@scope/name` or
 *   `lango-crypto-name`.
 * @throws {@link CryptoError} `ERR_PROVIDER_NOT_INSTALLED` (its hint is the command) if there is no such package;
 *   `ERR_INTERNAL` with the cause if there is but it fails to load, also when a package that it needs is missing;
 *   `ERR_CONFIG` if it exports no `provider`, or one of another name; `ERR_INVALID_ARGUMENT` for an ill-formed name.
 */
export const loadProvider = async (
  name: string,
  {
    import: load,
    installHint = (packageName) => `npm install ${packageName}`,
  }: LoadProviderOptions,
): Promise<ProviderModule> => {
  const packageName = packageNameOf(name);
  let loaded: unknown;
  try {
    loaded = await load(packageName);
  } catch (error) {
    if (isMissing(error, packageName)) {
      throw new CryptoError(
        "ERR_PROVIDER_NOT_INSTALLED",
        `Provider package ${packageName} is not installed`,
        {
          context: { provider: name, hint: installHint(packageName) },
          cause: error,
        },
      );
    }
    throw new CryptoError(
      "ERR_INTERNAL",
      `Provider package ${packageName} is installed but fails to load`,
      {
        context: { provider: name },
        cause: error,
      },
    );
  }
  const provider = providerOf(loaded);
  if (provider === undefined) {
    throw new CryptoError("ERR_CONFIG", `Package ${packageName} does not export a provider`, {
      context: { provider: name },
    });
  }
  if (name !== packageName && provider.name !== name) {
    throw new CryptoError(
      "ERR_CONFIG",
      `Package ${packageName} exports a provider of another name`,
      {
        context: { provider: name },
      },
    );
  }
  return provider;
};

const packageNameOf = (name: string): string => {
  if (PACKAGE_NAME.test(name)) return name;
  if (SHORT_NAME.test(name)) return `@lango/crypto-${name}`;
  throw new CryptoError("ERR_INVALID_ARGUMENT", "Provider name is ill-formed", {
    context: { hint: "Use a name such as aws-kms, @scope/package or lango-crypto-package" },
  });
};

/** Node names what it did not find; anything but the package itself is a fault inside the package. */
const isMissing = (error: unknown, packageName: string): boolean =>
  error instanceof Error &&
  "code" in error &&
  (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") &&
  /^Cannot find (?:package|module) '([^']*)'/.exec(error.message)?.[1] === packageName;

/** CommonJS packages that are imported may have their exports under `default`. */
const providerOf = (loaded: unknown): ProviderModule | undefined => {
  const { provider, default: commonJs } = loaded as {
    provider?: unknown;
    default?: { provider?: unknown };
  };
  const candidate = provider ?? commonJs?.provider;
  return isProviderModule(candidate) ? candidate : undefined;
};

const isProviderModule = (value: unknown): value is ProviderModule => {
  if (typeof value !== "object" || value === null) return false;
  const { name, configSchema, create } = value as Partial<ProviderModule>;
  return (
    typeof name === "string" &&
    SHORT_NAME.test(name) &&
    typeof configSchema?.parse === "function" &&
    typeof create === "function"
  );
};
