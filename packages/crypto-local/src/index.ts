export { ALGORITHMS, type LocalKeyAlgorithm } from "./algorithms.ts";
export { type KeyFiles, type LocalProviderConfig, provider } from "./key-files.ts";
export type { KeyRecord, KeySource, KeyVersionRecord, NewKey } from "./key-source.ts";
export { generateKeyMaterial, importKeyMaterial } from "./material.ts";
export { createMemoryKeySource, type LocalKey, type LocalKeyVersion } from "./memory-key-source.ts";
export { createLocalProvider, type LocalProvider, type LocalProviderOptions } from "./provider.ts";
