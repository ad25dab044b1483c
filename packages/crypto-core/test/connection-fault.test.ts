import { connectionFault } from "@lango/crypto-core";
import { expect, it } from "vitest";

it.each([
  ["ECONNRESET", "unreachable"],
  ["EAI_AGAIN", "unreachable"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "untrusted"],
  ["CERT_HAS_EXPIRED", "untrusted"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "untrusted"],
  ["ENOENT", undefined],
  ["XECONNRESET", undefined],
  [14, undefined],
  [undefined, undefined],
])("%s is %s", (code, fault) => expect(connectionFault(code)).toBe(fault));
