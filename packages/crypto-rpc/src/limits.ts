// As `protocol/methods.ts` and `protocol/schemas.ts` of @lango/companion have them, which is loaded with the first connection.

/** Largest plaintext, and largest message that is sent whole, in bytes. */
export const MAX_VALUE_BYTES = 65_536;
/** What a value becomes: room for nonce, tag and header of any provider. */
export const MAX_CIPHERTEXT_BYTES: number = MAX_VALUE_BYTES + 1024;
export const MAX_AAD_BYTES = 8192;
export const MAX_WRAP_BYTES = 512;
export const MAX_WRAPPED_BYTES = 2048;
export const MAX_KEY_ID_CHARACTERS = 512;
