import { CryptoError } from "@lango/crypto-core";

/** Tokens that stand in documentation. */
const EXAMPLE_TOKENS: readonly string[] = ["YourSecureRandomToken123456789"];

const GENERATE = "Make one with: openssl rand -base64 24";

/** What is wrong with a token, if anything; the token is not shown. @param least - Fewest characters. */
export function tokenFault(
  name: string,
  token: string,
  least: number | undefined,
): CryptoError | undefined {
  const problem = problemOf(token, least);
  if (problem === undefined) return undefined;
  return new CryptoError("ERR_CONFIG", `${name} ${problem}`, { context: { hint: GENERATE } });
}

function problemOf(token: string, least = 0): string | undefined {
  if (/[^\x21-\x7e]/.test(token)) {
    return "has characters that no HTTP header takes, such as spaces or line breaks";
  }
  if (token.length < least) return `has ${token.length} characters, fewer than ${least}`;
  if (EXAMPLE_TOKENS.includes(token) || /^<.*>$/.test(token)) return "is known from documentation";
  if (token.length > 1 && new Set(token).size === 1) return "is one character that repeats";
  return undefined;
}
