type NodeCrypto = typeof import("node:crypto");

let loaded: NodeCrypto | undefined;

/**
 * `node:crypto`, loaded at the first use. An import at the top costs every program about 5 ms at its start, also
 * one that only asks for `--version`.
 */
export const nodeCrypto = (): NodeCrypto => {
  loaded ??= process.getBuiltinModule("node:crypto");
  return loaded;
};
