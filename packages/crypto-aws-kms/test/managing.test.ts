import * as sdk from "@aws-sdk/client-kms";
import { expect, test } from "vitest";
import { createAwsKmsProvider } from "../src/index.ts";
import { KEY_ARN, metadata, OTHER_ARN, standIn } from "./stand-in.ts";

const answer = { message: "", $metadata: {} };
const notFound = () => {
  throw new sdk.NotFoundException(answer);
};
const notes = { keyId: "notes", algorithm: "aes-256-gcm", usage: "encryption" } as const;
const names = ({ sent }: ReturnType<typeof standIn>) => sent.map(({ name }) => name);

test("createKey: the name is an alias; one in use is ERR_CONFLICT before anything is made", async () => {
  const taken = standIn({});
  const call = createAwsKmsProvider({ client: taken }).createKey(notes);
  await expect(call).rejects.toMatchObject({ code: "ERR_CONFLICT" });
  expect(names(taken)).toEqual(["DescribeKey"]);

  const free = standIn({
    DescribeKey: notFound,
    CreateKey: () => metadata(),
    CreateAlias: () => ({}),
  });
  await createAwsKmsProvider({ client: free }).createKey(notes);
  expect(free.sent.map(({ input }) => input)).toMatchObject([
    { KeyId: "alias/notes" },
    { KeySpec: "SYMMETRIC_DEFAULT", KeyUsage: "ENCRYPT_DECRYPT" },
    { AliasName: "alias/notes", TargetKeyId: KEY_ARN },
  ]);
});

test("createKey: a key that lost its name to another is scheduled for deletion, and the error says so", async () => {
  const client = standIn({
    DescribeKey: notFound,
    CreateKey: () => metadata(),
    CreateAlias: () => {
      throw new sdk.AlreadyExistsException(answer);
    },
    ScheduleKeyDeletion: () => ({}),
  });
  const call = createAwsKmsProvider({ client }).createKey(notes);
  await expect(call).rejects.toMatchObject({
    code: "ERR_CONFLICT",
    message: expect.stringContaining(`${KEY_ARN} made for it is scheduled for deletion`),
  });
  expect(client.sent.at(-1)).toMatchObject({
    name: "ScheduleKeyDeletion",
    input: { KeyId: KEY_ARN, PendingWindowInDays: 7 },
  });
});

test("createKey: a key that can be neither named nor deleted is named in the error", async () => {
  const denied = () => {
    throw new sdk.KMSServiceException({
      ...answer,
      name: "AccessDeniedException",
      $fault: "client",
    });
  };
  const client = standIn({
    DescribeKey: notFound,
    CreateKey: () => metadata(),
    CreateAlias: denied,
    ScheduleKeyDeletion: denied,
  });
  await expect(createAwsKmsProvider({ client }).createKey(notes)).rejects.toMatchObject({
    code: "ERR_ACCESS_DENIED",
    message: expect.stringContaining(`${KEY_ARN} made for it is left over`),
  });
});

test.each(["notes", undefined])(
  "createKey: an abort while a key of the name %s is made schedules it for deletion",
  async (keyId) => {
    const controller = new AbortController();
    const client = standIn({
      DescribeKey: notFound,
      CreateKey: () => {
        controller.abort(new Error("enough"));
        return metadata();
      },
      CreateAlias: () => ({}),
      ScheduleKeyDeletion: () => ({}),
    });
    const provider = createAwsKmsProvider({ client });
    const call = provider.createKey({ ...notes, keyId, signal: controller.signal });
    await expect(call).rejects.toThrow("enough");
    await expect.poll(() => names(client).at(-1)).toBe("ScheduleKeyDeletion");
    expect(names(client)).not.toContain("CreateAlias");
  },
);

test("createKey: refuses what it has no use for, and names that are no alias of its own", async () => {
  const client = standIn({});
  const provider = createAwsKmsProvider({ client });
  const cases = [
    [{ algorithm: "ed25519", usage: "signing" }, "ERR_UNSUPPORTED"],
    [{ algorithm: "rsa-2048", usage: "encryption" }, "ERR_UNSUPPORTED"],
    [{ ...notes, keyId: "alias/aws/s3" }, "ERR_INVALID_ARGUMENT"],
    [{ ...notes, keyId: KEY_ARN }, "ERR_INVALID_ARGUMENT"],
    [{ ...notes, keyId: "two words" }, "ERR_INVALID_ARGUMENT"],
    [{ ...notes, keyId: KEY_ARN.split("/")[1]! }, "ERR_INVALID_ARGUMENT"],
  ] as const;
  for (const [request, code] of cases) {
    await expect(provider.createKey(request), JSON.stringify(request)).rejects.toMatchObject({
      code,
    });
  }
  expect(client.sent).toEqual([]);
});

test("rotateKey: waits for the new material; where it does not come in time, says that it will", async () => {
  let descriptions = 0;
  const client = standIn({
    DescribeKey: () => metadata(++descriptions < 4 ? {} : { CurrentKeyMaterialId: "b".repeat(64) }),
    RotateKeyOnDemand: () => ({ KeyId: KEY_ARN }),
    Encrypt: () => ({ KeyId: KEY_ARN, CiphertextBlob: new Uint8Array(9) }),
  });
  const provider = createAwsKmsProvider({ client });
  const request = { keyId: KEY_ARN, key: new Uint8Array(32) };
  expect((await provider.wrapKey(request)).keyVersion).toBe("a".repeat(64));
  const rotated = await provider.rotateKey({ keyId: KEY_ARN });
  expect([rotated.keyVersion, descriptions]).toEqual(["b".repeat(64), 4]);
  expect((await provider.wrapKey(request)).keyVersion).toBe("b".repeat(64));

  const slow = standIn({ RotateKeyOnDemand: () => ({ KeyId: KEY_ARN }) });
  await expect(
    createAwsKmsProvider({ client: slow }).rotateKey({ keyId: KEY_ARN }),
  ).rejects.toMatchObject({ code: "ERR_BUSY", retryable: false });
  expect(names(slow).filter((name) => name === "RotateKeyOnDemand")).toHaveLength(1);
});

test("listKeys: every page; keys that are closed, gone or of another kind are left out, an outage is an error", async () => {
  const page = [
    { Keys: [{ KeyArn: KEY_ARN }, { KeyArn: OTHER_ARN }], Truncated: true, NextMarker: "more" },
    { Keys: [{ KeyArn: `${KEY_ARN.slice(0, -1)}1` }], Truncated: false },
  ];
  const client = standIn({
    ListKeys: ({ Marker }) => page[Marker === "more" ? 1 : 0],
    DescribeKey: ({ KeyId }) =>
      KeyId === OTHER_ARN ? metadata({ Arn: OTHER_ARN, KeySpec: "SM2" }) : metadata({ Arn: KeyId }),
  });
  const list = async (from: ReturnType<typeof standIn>) => {
    const found: string[] = [];
    const provider = createAwsKmsProvider({ client: from });
    for await (const { keyId } of provider.listKeys({})) found.push(keyId);
    return found;
  };
  expect(await list(client)).toEqual([KEY_ARN, `${KEY_ARN.slice(0, -1)}1`]);

  const down = standIn({
    ListKeys: () => page[1],
    DescribeKey: () => {
      throw new sdk.KMSInternalException(answer);
    },
  });
  await expect(list(down)).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
});

test("health: reads the configured keys, else one line of the list; never rejects for what it finds", async () => {
  const client = standIn({ ListKeys: () => ({ Keys: [] }) });
  expect(await createAwsKmsProvider({ client }).health({})).toMatchObject({ healthy: true });
  expect(client.sent.map(({ name, input }) => [name, input])).toEqual([["ListKeys", { Limit: 1 }]]);

  const disabled = standIn({ DescribeKey: () => metadata({ KeyState: "PendingDeletion" }) });
  const provider = createAwsKmsProvider({ client: disabled, healthKeyIds: ["alias/a", "alias/b"] });
  expect(await provider.health({})).toMatchObject({
    healthy: false,
    reason: expect.stringContaining("disabled"),
  });
  expect(disabled.sent.map(({ input }) => input["KeyId"])).toEqual(["alias/a", "alias/b"]);
});
