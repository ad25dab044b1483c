// Bit by bit from the polynomial, so that it shares nothing with the implementation that is tested.
const POLYNOMIAL = 0x82f63b78;

/** CRC-32C (Castagnoli), reflected. */
export const crc = (bytes: Uint8Array): number => {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
};
