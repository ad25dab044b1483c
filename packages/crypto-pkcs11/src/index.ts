export type { KeyWrap, OaepHash } from "./algorithms.ts";
export { type Pkcs11Config, provider } from "./config.ts";
export {
  createPkcs11Provider,
  type Pkcs11Provider,
  type Pkcs11ProviderOptions,
  type TokenDescription,
} from "./provider.ts";
export type { FoundBy, TokenChoice } from "./token-choice.ts";
