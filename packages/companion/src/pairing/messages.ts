import type { Bytes } from "@lango/crypto-core";
import * as z from "zod";
import type { Role } from "../peers.ts";
import { base64 } from "../protocol/bytes.ts";

export const PAIRING_VERSION = 1;
/** Bytes of one message. */
export const MAX_MESSAGE_BYTES = 8192;

/** What a refusal says. A wrong code is `refused` like everything else that a stranger could learn from. */
export type RefusalReason = "refused" | "declined" | "mode" | "role" | "version" | "failed";

/** First from both sides. */
export interface Hello {
  readonly type: "hello";
  readonly version: number;
  readonly mode: "code" | "compare";
  readonly role: Role;
  readonly name: string;
  /** Of the pairing, from the host: 128 bits in base64url. */
  readonly id?: string | undefined;
  /** 32 bytes, in mode `compare`. */
  readonly commitment?: Bytes | undefined;
}

export type Message =
  | Hello
  /** 32 bytes. */
  | { readonly type: "proof"; readonly proof: Bytes }
  /** 32 bytes. */
  | { readonly type: "reveal"; readonly nonce: Bytes }
  /** The joiner is satisfied. */
  | { readonly type: "ready" }
  /** The host keeps the joiner's pin. */
  | { readonly type: "stored" }
  /** The joiner keeps the host's pin. */
  | { readonly type: "done" }
  | { readonly type: "refused"; readonly reason: RefusalReason };

const bytes32 = base64(32).refine((bytes) => bytes.length === 32);

/** From what is on the wire to what the code sees; unknown members are refused. */
export const message: z.ZodType<Message, unknown> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("hello"),
    version: z.int(),
    mode: z.enum(["code", "compare"]),
    role: z.enum(["agent", "companion"]),
    // A lone surrogate has no bytes that a proof could cover.
    name: z
      .string()
      .max(256)
      .refine((text) => text.isWellFormed()),
    id: z
      .string()
      .regex(/^[\w-]{22}$/)
      .optional(),
    commitment: bytes32.optional(),
  }),
  z.strictObject({ type: z.literal("proof"), proof: bytes32 }),
  z.strictObject({ type: z.literal("reveal"), nonce: bytes32 }),
  z.strictObject({ type: z.literal("ready") }),
  z.strictObject({ type: z.literal("stored") }),
  z.strictObject({ type: z.literal("done") }),
  z.strictObject({
    type: z.literal("refused"),
    reason: z.enum(["refused", "declined", "mode", "role", "version", "failed"]),
  }),
]);
