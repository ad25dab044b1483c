import { bytesEqual, type MacAlgorithm } from "@lango/crypto-core";
import { MAC_ALGORITHMS } from "../../src/needs.ts";
import { type Fault, is, pooled } from "./fault.ts";

export const macFaults: readonly Fault[] = [
  ...(Object.keys(MAC_ALGORITHMS) as MacAlgorithm[]).flatMap(faultsOf),
  {
    check: "mac: results are plain Uint8Arrays over memory of their own, inputs are not changed",
    provider: ({ mac }) => ({
      mac: async (request) => {
        const result = await mac(request);
        return { ...result, mac: pooled(result.mac) };
      },
    }),
  },
];

function faultsOf(algorithm: MacAlgorithm): Fault[] {
  // The last byte of the message does not count.
  const cut = <R extends { keyId: string; message: Uint8Array }>(request: R): R =>
    request.keyId === algorithm && is(request.message, 100)
      ? { ...request, message: request.message.slice(0, -1) }
      : request;
  return [
    {
      check: `mac ${algorithm}: ${MAC_ALGORITHMS[algorithm]} bytes, the same for the same message only`,
      provider: ({ mac, verifyMac }) => ({
        mac: (request) => mac(cut(request)),
        verifyMac: (request) => verifyMac(cut(request)),
      }),
    },
    {
      check: `verifyMac ${algorithm}: true for its MAC, false for any other`,
      provider: ({ mac, verifyMac }) => ({
        verifyMac: async (request) => {
          if (request.keyId !== algorithm || !is(request.mac, 16)) return verifyMac(request);
          return bytesEqual((await mac(request)).mac.slice(0, 16), request.mac);
        },
      }),
    },
  ];
}
