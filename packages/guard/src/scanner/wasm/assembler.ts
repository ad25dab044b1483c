// A small assembler: writes a WebAssembly module (WebAssembly Core Specification 2.0 §5) from expressions. What it
// makes is thus made here, from source that can be read, and no binary has to be trusted.

/** Instructions that leave at most one value. */
export type Code = readonly number[];

const I32 = 0x7f;
const V128 = 0x7b;
const NO_RESULT = 0x40;

/** LEB128 (§5.2.2). */
const unsigned = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
};

const signed = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value | 0;
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
};

type Operation = (...operands: readonly Code[]) => Code;

const operation =
  (...opcode: number[]): Operation =>
  (...operands) => [...operands.flat(), ...opcode];
const vector = (opcode: number): Operation => operation(0xfd, ...unsigned(opcode));
const ADDRESS_IS_ALIGNED_TO = { byte: 0, word: 2, any: 0 } as const;

/** The instructions in use, each by the operands that it takes. */
interface Operations extends Readonly<Record<SimpleOperation, Operation>> {
  /** A constant. */
  readonly i32: (value: number) => Code;
  /** The word at `address` + `offset`. */
  readonly load: (address: Code, offset?: number) => Code;
  readonly loadByte: (address: Code) => Code;
  readonly store: (address: Code, value: Code) => Code;
  /** 16 bytes from `address`. */
  readonly loadVector: (address: Code) => Code;
  /** 16 times the same byte. */
  readonly splat: (byte: number) => Code;
  /** Repeats `body` for as long as `condition` holds. */
  readonly loopWhile: (condition: Code, ...body: readonly Code[]) => Code;
  readonly when: (condition: Code, ...body: readonly Code[]) => Code;
}

type SimpleOperation =
  | "eqz"
  | "less"
  | "greater"
  | "atMost"
  | "atLeast"
  | "trailingZeros"
  | "add"
  | "sub"
  | "mul"
  | "and"
  | "or"
  | "shiftLeft"
  | "shiftRight"
  | "equalBytes"
  | "lessBytes"
  | "greaterBytes"
  | "andVector"
  | "orVector"
  | "anyTrue"
  | "highBits";

export const op: Operations = {
  i32: (value) => [0x41, ...signed(value)],
  eqz: operation(0x45),
  less: operation(0x49),
  greater: operation(0x4b),
  atMost: operation(0x4d),
  atLeast: operation(0x4f),
  trailingZeros: operation(0x68),
  add: operation(0x6a),
  sub: operation(0x6b),
  mul: operation(0x6c),
  and: operation(0x71),
  or: operation(0x72),
  shiftLeft: operation(0x74),
  shiftRight: operation(0x76),

  load: (address, offset = 0) => [
    ...address,
    0x28,
    ADDRESS_IS_ALIGNED_TO.word,
    ...unsigned(offset),
  ],
  loadByte: (address) => [...address, 0x2d, ADDRESS_IS_ALIGNED_TO.byte, 0],
  store: (address, value) => [...address, ...value, 0x36, ADDRESS_IS_ALIGNED_TO.word, 0],

  loadVector: (address) => [...address, 0xfd, 0, ADDRESS_IS_ALIGNED_TO.any, 0],
  splat: (byte) => [0x41, ...signed(byte), 0xfd, ...unsigned(15)],
  /** Each byte all ones where the two are equal, else 0. */
  equalBytes: vector(0x23),
  lessBytes: vector(0x26),
  greaterBytes: vector(0x28),
  andVector: vector(0x4e),
  orVector: vector(0x50),
  anyTrue: vector(0x53),
  /** A bit for each byte: its highest. */
  highBits: vector(0x64),

  loopWhile: (condition, ...body) => [
    ...[0x02, NO_RESULT, 0x03, NO_RESULT],
    ...condition,
    ...[0x45, 0x0d, 1],
    ...body.flat(),
    ...[0x0c, 0, 0x0b, 0x0b],
  ],
  when: (condition, ...body) => [...condition, 0x04, NO_RESULT, ...body.flat(), 0x0b],
};

/** A parameter or variable of a function. */
export interface Variable {
  readonly get: Code;
  readonly set: (value: Code) => Code;
}

type Kind = "i32" | "v128";

export interface Procedure {
  readonly name: string;
  /** Bytes of the entry in the code section. */
  readonly body: Code;
  readonly parameters: number;
}

/**
 * Assembles a function whose parameters and result are numbers.
 *
 * @param build - Takes the variables by name and gives what they compute; the last expression is the result.
 */
export const procedure = <Name extends string>(
  name: string,
  parameters: readonly string[],
  variables: Readonly<Record<string, Kind>>,
  build: (variable: Readonly<Record<Name, Variable>>) => readonly Code[],
): Procedure => {
  const names = [...parameters, ...Object.keys(variables)];
  const entries = names.map((each, index) => [
    each,
    {
      get: [0x20, ...unsigned(index)],
      set: (value: Code): Code => [...value, 0x21, ...unsigned(index)],
    },
  ]);
  const code = build(Object.fromEntries(entries) as Record<Name, Variable>).flat();
  const locals = Object.values(variables).map((kind) => [1, kind === "i32" ? I32 : V128]);
  const body = [...counted(locals), ...code, 0x0b];
  return { name, parameters: parameters.length, body: [...unsigned(body.length), ...body] };
};

const counted = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const text = (ascii: string): Code => counted([...ascii].map((char) => [char.charCodeAt(0)]));
const section = (id: number, items: readonly Code[]): Code => {
  const content = counted(items);
  return [id, ...unsigned(content.length), ...content];
};

/** A module that imports the memory `env.memory` and exports the functions. */
export const assemble = (procedures: readonly Procedure[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      procedures.map(({ parameters }) => [
        0x60,
        ...counted(Array.from({ length: parameters }, () => [I32])),
        ...counted([[I32]]),
      ]),
    ),
    ...section(2, [[...text("env"), ...text("memory"), 0x02, 0x00, 0x01]]),
    ...section(
      3,
      procedures.map((_, index) => unsigned(index)),
    ),
    ...section(
      7,
      procedures.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)]),
    ),
    ...section(
      10,
      procedures.map(({ body }) => body),
    ),
  ]);
