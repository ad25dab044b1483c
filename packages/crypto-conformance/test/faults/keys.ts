import { type Fault, is, orElse, refuse } from "./fault.ts";

export const keysFaults: readonly Fault[] = [
  {
    check: "encrypt: a key that does not exist is ERR_KEY_NOT_FOUND",
    provider: ({ encrypt }) => ({
      encrypt: (request) =>
        encrypt({
          ...request,
          ...(request.keyId === "missing" && is(request.plaintext, 16) && { keyId: "a" }),
        }),
    }),
  },
  {
    check: "sign: a key that does not exist is ERR_KEY_NOT_FOUND",
    provider: ({ sign }) => ({
      sign: async (request) => {
        if (is(request.message, 16)) await refuse(request.keyId === "missing", "ERR_INTERNAL");
        return sign(request);
      },
    }),
  },
  {
    check: "describeKey: a key that does not exist is ERR_KEY_NOT_FOUND",
    provider: ({ describeKey }) => ({
      describeKey: (request) =>
        describeKey({ ...request, keyId: request.keyId === "missing" ? "a" : request.keyId }),
    }),
  },
  {
    check: "disabled key: its use is ERR_KEY_DISABLED",
    provider: ({ encrypt }) => ({
      encrypt: (request) =>
        encrypt({ ...request, keyId: request.keyId === "disabled" ? "a" : request.keyId }),
    }),
  },
  {
    check: "encrypt: a key for signing is ERR_KEY_USAGE",
    provider: ({ encrypt }) => ({
      encrypt: (request) =>
        encrypt({ ...request, keyId: request.keyId.startsWith("ecdsa") ? "a" : request.keyId }),
    }),
  },
  {
    check: "sign: a key for encryption is ERR_KEY_USAGE",
    provider: ({ sign }) => ({
      sign: (request) =>
        sign({ ...request, keyId: request.keyId === "a" ? "ed25519" : request.keyId }),
    }),
  },
  {
    check: "mac: a key for encryption is ERR_KEY_USAGE",
    provider: ({ mac }) => ({
      mac: (request) =>
        mac({ ...request, keyId: request.keyId === "a" ? "hmac-sha256" : request.keyId }),
    }),
  },
  {
    check: "describeKey: says what each key is for, and that it is enabled",
    provider: ({ describeKey, listKeys }) => {
      const wrong = <K extends { keyId: string }>(key: K): K =>
        key.keyId === "b" ? { ...key, state: "pending" } : key;
      return {
        describeKey: async (request) => wrong(await describeKey(request)),
        async *listKeys(request) {
          for await (const key of listKeys(request)) yield wrong(key);
        },
      };
    },
  },
  {
    check: "listKeys: gives every key as describeKey does, once",
    provider: ({ listKeys }) => ({
      async *listKeys(request) {
        for await (const key of listKeys(request)) if (key.keyId !== "b") yield key;
      },
    }),
  },
  {
    check: "createKey: makes a key that works; a name in use is ERR_CONFLICT",
    provider: ({ createKey, describeKey }) => ({
      createKey: (request) =>
        orElse(createKey(request), async () => {
          const { keyId = "missing", signal } = request;
          return describeKey({ keyId, signal });
        }),
    }),
  },
  {
    check: "random: as many bytes as asked, other ones each time",
    provider: ({ random }) => ({
      random: async (request) => (await random(request)).fill(7),
    }),
  },
  {
    check: "random: 0 and 1025 bytes are ERR_INVALID_ARGUMENT",
    client: (client, provider) => ({
      random: (request) => (request.bytes === 1025 ? provider : client).random(request),
    }),
  },
  {
    check: "health: healthy, checked now",
    provider: ({ health }) => ({
      health: async (request) => ({ ...(await health(request)), checkedAt: 0 }),
    }),
  },
  {
    check: "health: a key that does not exist is a reason, not a rejection",
    provider: ({ health }) => ({
      health: async (request) => {
        await refuse(request.keyId === "missing", "ERR_KEY_NOT_FOUND");
        return health(request);
      },
    }),
  },
];
