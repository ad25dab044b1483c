import { createHash } from "node:crypto";
import { concat } from "@lango/crypto-core";
import { createDataKey, hkdf, jcs, parts } from "@lango/envelope";
import { bytes, pattern, text, toHex } from "../support.ts";
import { AAD, ID, KEY, MALFORMED, SALT, sha256, VAULT_ID, VAULT_KEY } from "./common.ts";

export const aadVectors = () => {
  const u64 = (value: number) => {
    const out = new Uint8Array(8);
    new DataView(out.buffer).setBigUint64(0, BigInt(value));
    return out;
  };
  const lists: [string, Uint8Array[]][] = [
    ["no parts", []],
    ["one empty part", [bytes(0)]],
    ["two empty parts", [bytes(0), bytes(0)]],
    ["a boundary that moves", [text("ab"), text("c")]],
    ["a boundary that has moved", [text("a"), text("bc")]],
    [
      "vault row",
      [
        text("lango/v1/record"),
        VAULT_ID,
        text("secrets"),
        text("openai/api-key"),
        text("value"),
        u64(7),
      ],
    ],
    ["data key in a vault", [text("lango/v1/datakey"), VAULT_ID, ID]],
    ["what a user seals", [text("lango/v1/user"), AAD]],
    ["wrapped data key", [text("lango/v1/dek"), ID, createDataKey(KEY, ID).commitment]],
    [
      "slot",
      [
        text("lango/v1/slot"),
        VAULT_ID,
        pattern(12, 50),
        text("env"),
        text(jcs({ createdAt: "2026-11-22T00:00:00.000Z", label: "ci" })),
      ],
    ],
    ["slot key wrapped by a provider", [text("lango/v1/slot-wrap"), VAULT_ID, pattern(12, 70)]],
    [
      "what an anchor of the audit log signs",
      [text("lango/v1/anchor"), VAULT_ID, u64(258), pattern(32, 90)],
    ],
  ];
  return lists.map(([name, items]) => ({
    name,
    parts: items.map(toHex),
    bytes: toHex(parts(...items)),
  }));
};

export const jcsVectors = () => {
  const good: [string, string][] = [
    ["order of keys", '{"b":1,"a":2,"":3,"A":4,"aa":5}'],
    [
      "keys by UTF-16 code units",
      '{"\\ufb33":1,"\\ud83d\\ude00":2,"\\u20ac":3,"\\r":4,"\\u0080":5,"\\u00f6":6,"1":7}',
    ],
    ["white space", ' { "a" : [ 1 , { } , [ ] , "" ] }\n'],
    ["escapes", '"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\\\/\\u007f\\u2028\\u00e9"'],
    [
      "numbers",
      "[0,-0,1,-1,1.0,1e0,0.1,1e21,1e20,123456789012345678,5e-324,1.7976931348623157e308,1e-7,0.000001,333333333.33333329,4.50,2e-3]",
    ],
    ["literals", "[null,true,false]"],
    [
      "an audit entry",
      '{"outcome":"ok","at":1795305600000,"action":"secrets.get","target":"openai/api-key"}',
    ],
  ];
  const bad: [string, string][] = [
    ["nothing", ""],
    ["cut short", '{"a":1'],
    ["duplicate key", '{"a":1,"a":2}'],
    ["duplicate key, escaped", '{"a":1,"\\u0061":2}'],
    ["lone surrogate", '"\\ud800"'],
    ["number too large", "1e400"],
    ["trailing comma", "[1,]"],
    ["leading zero", "[01]"],
    ["plus sign", "[+1]"],
    ["NaN", "[NaN]"],
    ["comment", "[1/**/]"],
    ["control character", '"\u0001"'],
    ["byte order mark", "\ufeff1"],
    ["text after the end", "1 1"],
    ["33 levels", "[".repeat(33) + "]".repeat(33)],
  ];
  return {
    good: good.map(([name, json]) => {
      const canonical = jcs(JSON.parse(json));
      return { name, json, canonical, sha256: sha256(canonical) };
    }),
    bad: bad.map(([name, json]) => ({ name, json, error: MALFORMED })),
  };
};

export const hkdfVectors = () => {
  const streamHeader = concat(
    text("LNGS"),
    Uint8Array.of(1, 16, 0, 0),
    ID,
    createDataKey(KEY, ID).commitment,
    SALT,
  );
  const aadLength = Uint8Array.of(0, 0, 0, AAD.length);
  const digest = createHash("sha256")
    .update(concat(streamHeader, aadLength, AAD))
    .digest();
  const lists: [string, Uint8Array, Uint8Array, Uint8Array, number][] = [
    ["AES key of LNG1", KEY, ID, text("lango/v1/value"), 32],
    ["commitment", KEY, ID, text("lango/v1/commit"), 32],
    ["recipients key", KEY, ID, text("lango/v1/recipients"), 32],
    ["stream key", KEY, SALT, concat(text("lango/v1/stream"), digest), 32],
    ["wrap key of a vault", VAULT_KEY, VAULT_ID, text("lango/v1/wrap"), 32],
    ["id of the wrap key", VAULT_KEY, VAULT_ID, text("lango/v1/wrap-id"), 12],
    ["rows key", VAULT_KEY, VAULT_ID, text("lango/v1/rows"), 32],
    ["slot-file key", VAULT_KEY, VAULT_ID, text("lango/v1/slotfile"), 32],
    ["database key", VAULT_KEY, VAULT_ID, text("lango/v1/database"), 32],
    [
      "slot key",
      pattern(32, 50),
      concat(VAULT_ID, pattern(12, 50)),
      text("lango/v1/slot-key/env"),
      32,
    ],
  ];
  return lists.map(([name, key, salt, info, length]) => ({
    name,
    key: toHex(key),
    salt: toHex(salt),
    info: toHex(info),
    output: toHex(hkdf(key, salt, info, length)),
  }));
};
