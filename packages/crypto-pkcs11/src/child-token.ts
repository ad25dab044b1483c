import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import type { Handle, PKCS11 } from "pkcs11js";
import { readKeyFacts, searchTemplate, templateOf, ulong } from "./child-attributes.ts";
import { returnValueOf, TokenFailure } from "./child-failure.ts";
import { mechanismOf } from "./child-mechanism.ts";
import { keyWrapMechanism, probe } from "./child-probe.ts";
import { CKA, CKF, CKK, CKO } from "./constants.ts";
import type { CallName, Calls, ObjectRef, TokenFacts } from "./protocol.ts";

type Pkcs11js = typeof import("pkcs11js");

interface Outcome<A> {
  readonly answer: A;
  readonly bytes?: readonly Buffer[];
}

/** The child's half of every call of protocol.ts. Byte strings that a call gets belong to it and are zeroed after it. */
export type Token = {
  readonly [Name in CallName]: (
    ask: Calls[Name]["ask"],
    bytes: readonly Buffer[],
  ) => Outcome<Calls[Name]["answer"]>;
} & {
  /** Gives the token back what it holds for this process. */
  end(): void;
};

const CKU_USER = 1;
const CKU_CONTEXT_SPECIFIC = 2;
const TAG_BYTES = 16;
/** RSA-8192, the longest output of a fixed length. */
const MAX_OUTPUT_BYTES = 1024;

/** One module, one session. Everything is synchronous, so one session is all that one process can use at a time. */
export function createToken(): Token {
  const native = loadPkcs11js();
  const module: PKCS11 = new native.PKCS11();
  let session: Handle | undefined;
  let handles = new Map<string, Handle>();
  /** Used again for each signature: it is copied into the answer before the next call. */
  const signature = Buffer.alloc(MAX_OUTPUT_BYTES);

  const current = (): Handle => {
    if (session === undefined) throw new TokenFailure("NO_SESSION");
    return session;
  };

  const factsOf = (slot: Handle): TokenFacts => {
    const info = module.C_GetTokenInfo(slot);
    const has = (flag: number): boolean => (info.flags & flag) !== 0;
    // PKCS#11 §3.2: 0 is "effectively infinite", the largest CK_ULONG "unavailable".
    const max = info.maxSessionCount;
    const limited = max > 0 && max < 0xffff_ffff;
    return {
      slotId: ulong(slot),
      label: text(info.label),
      serial: text(info.serialNumber),
      manufacturer: text(info.manufacturerID),
      model: text(info.model),
      initialized: has(native.CKF_TOKEN_INITIALIZED),
      loginRequired: has(native.CKF_LOGIN_REQUIRED),
      protectedAuthentication: has(native.CKF_PROTECTED_AUTHENTICATION_PATH),
      rng: has(native.CKF_RNG),
      hardware: (module.C_GetSlotInfo(slot).flags & CKF.hardwareSlot) !== 0,
      ...(limited && { maxSessions: max }),
    };
  };
  const slotWith = (slotId: number): Handle => {
    const slot = module.C_GetSlotList(true).find((each) => ulong(each) === slotId);
    if (slot === undefined) throw new TokenFailure("NO_SESSION", `slot ${slotId} has no token`);
    return slot;
  };

  const search = (ref: ObjectRef): Handle[] => {
    module.C_FindObjectsInit(current(), searchTemplate(ref));
    try {
      const found: Handle[] = [];
      for (;;) {
        const some = module.C_FindObjects(current(), 64);
        if (some.length === 0) return found;
        found.push(...some);
      }
    } finally {
      module.C_FindObjectsFinal(current());
    }
  };

  /** The object that a reference (JSON of an `ObjectRef`) names; it was found before, or is looked for. */
  const handleOf = (key: string): Handle => {
    const known = handles.get(key);
    if (known !== undefined) return known;
    const [found, another] = search(JSON.parse(key) as ObjectRef);
    if (found === undefined) throw new TokenFailure("OBJECT_GONE");
    if (another !== undefined) throw new TokenFailure("OBJECT_AMBIGUOUS");
    handles.set(key, found);
    return found;
  };

  /** Works on a key; a handle that is no longer good is looked up again, once. */
  const withKey = <T>(key: string, work: (handle: Handle) => T): T => {
    try {
      return work(handleOf(key));
    } catch (error) {
      const name = returnValueOf(error);
      if (name !== "CKR_KEY_HANDLE_INVALID" && name !== "CKR_OBJECT_HANDLE_INVALID") throw error;
      handles.delete(key);
      return work(handleOf(key));
    }
  };

  // PKCS#11 §5.6: such a key wants the PIN between the start of an operation and its end.
  const authenticate = (pin: Buffer | undefined): void => {
    if (pin !== undefined) module.C_Login(current(), CKU_CONTEXT_SPECIFIC, pin.toString("utf8"));
  };

  /** A session object that holds a key in the clear for the one call that wraps it, or gets it by unwrapping. */
  const transient = [
    { type: CKA.class, value: CKO.secretKey },
    { type: CKA.keyType, value: CKK.genericSecret },
    { type: CKA.token, value: false },
    { type: CKA.sensitive, value: false },
    { type: CKA.extractable, value: true },
  ];
  const withObject = <T>(object: Handle, work: (object: Handle) => T): T => {
    try {
      return work(object);
    } finally {
      module.C_DestroyObject(current(), object);
    }
  };

  let kwp: number | undefined;
  const keyWrap = (candidates: readonly number[]): number => {
    kwp ??= keyWrapMechanism(module, current(), candidates);
    return kwp;
  };

  return {
    start({ modulePath, libraryParameters, flags }) {
      if (!existsSync(modulePath)) throw new TokenFailure("MODULE_MISSING");
      try {
        module.load(modulePath);
      } catch (error) {
        throw returnValueOf(error) === undefined ? new TokenFailure("MODULE_BROKEN") : error;
      }
      const options = {
        ...(libraryParameters !== undefined && { libraryParameters }),
        ...(flags !== undefined && { flags }),
      };
      try {
        module.C_Initialize(
          Object.keys(options).length === 0 ? undefined : { flags: 0, ...options },
        );
      } catch (error) {
        // Another user of the library in this process is welcome; it is initialised, which is all that is wanted.
        if (returnValueOf(error) !== "CKR_CRYPTOKI_ALREADY_INITIALIZED") throw error;
      }
      return { answer: { tokens: module.C_GetSlotList(true).map(factsOf) } };
    },

    open({ slotId }) {
      const slot = slotWith(slotId);
      const before = session;
      session = undefined;
      handles = new Map();
      const { CKF_RW_SESSION, CKF_SERIAL_SESSION } = native;
      session = module.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION);
      // After the new one, since closing the last session logs out; and it may be dead.
      if (before !== undefined) {
        try {
          module.C_CloseSession(before);
        } catch {
          // That is why there is a new one.
        }
      }
      const mechanisms = module.C_GetMechanismList(slot).map((type) => {
        return { type, flags: module.C_GetMechanismInfo(slot, type).flags };
      });
      return { answer: { mechanisms, probes: probe(native, module, session, mechanisms) } };
    },

    login(_, [pin]) {
      try {
        module.C_Login(current(), CKU_USER, pin?.toString("utf8"));
      } catch (error) {
        if (returnValueOf(error) !== "CKR_USER_ALREADY_LOGGED_IN") throw error;
      }
      return { answer: {} };
    },

    info({ slotId }) {
      module.C_GetSessionInfo(current());
      return { answer: factsOf(slotWith(slotId)) };
    },

    find({ id, label, classes }) {
      const keys = classes.flatMap((objectClass) => {
        const ref = {
          class: objectClass,
          ...(id !== undefined && { id }),
          ...(label !== undefined && { label }),
        };
        return search(ref).map((object) => readKeyFacts(module, current(), object));
      });
      // What was found may be other objects under known names.
      handles = new Map();
      return { answer: { keys } };
    },

    sign: ({ key, mechanism }, [data = Buffer.alloc(0), pin]) =>
      withKey(key, (handle) => {
        module.C_SignInit(current(), mechanismOf(native, mechanism), handle);
        authenticate(pin);
        return {
          answer: {},
          bytes: [module.C_Sign(current(), data, signature)],
        };
      }),

    verify: ({ key, mechanism }, [data = Buffer.alloc(0), given = Buffer.alloc(0)]) =>
      withKey(key, (handle) => {
        module.C_VerifyInit(current(), mechanismOf(native, mechanism), handle);
        try {
          return { answer: { valid: module.C_Verify(current(), data, given) } };
        } catch (error) {
          const name = returnValueOf(error) ?? "";
          if (!/^CKR_SIGNATURE_(INVALID|LEN_RANGE)$/.test(name)) throw error;
          return { answer: { valid: false } };
        }
      }),

    encrypt: ({ key, mechanism }, [iv, aad, data = Buffer.alloc(0)]) =>
      withKey(key, (handle) => {
        module.C_EncryptInit(current(), mechanismOf(native, mechanism, iv, aad), handle);
        const room = Buffer.alloc(data.length + TAG_BYTES + MAX_OUTPUT_BYTES);
        const output = module.C_Encrypt(current(), data, room);
        // A token may have put an IV of its own into the parameters, which are this very memory.
        return { answer: {}, bytes: [Buffer.from(iv ?? []), output] };
      }),

    decrypt: ({ key, mechanism }, [iv, aad, data = Buffer.alloc(0), pin]) =>
      withKey(key, (handle) => {
        module.C_DecryptInit(current(), mechanismOf(native, mechanism, iv, aad), handle);
        authenticate(pin);
        // Some modules want room for the tag, although they give none.
        const room = Buffer.alloc(data.length + MAX_OUTPUT_BYTES);
        try {
          return { answer: {}, bytes: [Buffer.from(module.C_Decrypt(current(), data, room))] };
        } finally {
          room.fill(0);
        }
      }),

    wrap: ({ key, mechanisms }, [value = Buffer.alloc(0)]) =>
      withKey(key, (handle) => {
        const template = [...transient, { type: CKA.value, value }];
        return withObject(module.C_CreateObject(current(), template), (object) => {
          const mechanism = { mechanism: keyWrap(mechanisms) };
          const room = Buffer.alloc(value.length + MAX_OUTPUT_BYTES);
          return {
            answer: {},
            bytes: [module.C_WrapKey(current(), mechanism, handle, object, room)],
          };
        });
      }),

    unwrap: ({ key, mechanisms }, [wrapped = Buffer.alloc(0)]) =>
      withKey(key, (handle) => {
        const mechanism = { mechanism: keyWrap(mechanisms) };
        const object = module.C_UnwrapKey(current(), mechanism, handle, wrapped, transient);
        return withObject(object, () => {
          const [value] = module.C_GetAttributeValue(current(), object, [{ type: CKA.value }]);
          return { answer: {}, bytes: [value?.value ?? Buffer.alloc(0)] };
        });
      }),

    generate({ mechanism, secret, pair }) {
      const handle =
        pair === undefined
          ? module.C_GenerateKey(current(), { mechanism }, templateOf(secret ?? []))
          : module.C_GenerateKeyPair(
              current(),
              { mechanism },
              templateOf(pair.publicKey),
              templateOf(pair.privateKey),
            ).privateKey;
      return { answer: readKeyFacts(module, current(), handle) };
    },

    end() {
      try {
        // Nobody else uses the library in this process.
        module.C_Finalize();
      } catch {
        // The process ends anyway.
      }
    },

    random({ bytes }) {
      return { answer: {}, bytes: [module.C_GenerateRandom(current(), Buffer.alloc(bytes))] };
    },
  };
}

/** Fields of a fixed length are padded with blanks, by some with zeros. */
const text = (field: string): string => field.replace(/[\0 ]+$/, "");

/** The native package, loaded here and nowhere else. */
function loadPkcs11js(): Pkcs11js {
  try {
    return createRequire(import.meta.url)("pkcs11js") as Pkcs11js;
  } catch {
    throw new TokenFailure("PKCS11JS_MISSING");
  }
}
