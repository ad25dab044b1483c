import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { parseJsonStrict, type RowsKeys } from "@lango/envelope";
import type { JobRow, StoreReads } from "@lango/store";
import type { RotationStatus } from "./rotation-types.ts";
import { checkRow, withMac } from "./rows.ts";

/** The kind of the job. */
export const ROTATE = "rotate";

/** Some 300,000 data keys; also bounds what is read of a row before its MAC can be checked. */
const MAX_CONTENT_BYTES = 8 * 1024 * 1024;

/**
 * The row that any process can go on by. It does not change until the job ends: how far it is, the other rows say.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when it would be longer than what is read.
 */
export const newRotationJob = (rowsKeys: RowsKeys, status: RotationStatus): JobRow => {
  const { startedAt, dataKeys, total } = status;
  const content = JSON.stringify({ dataKeys, total });
  if (content.length > MAX_CONTENT_BYTES) {
    throw new CryptoError("ERR_CONFLICT", `${dataKeys.length} data keys are too many to rotate`, {
      context: { hint: "Destroy those that no value needs: lango keys retire" },
    });
  }
  return withMac(rowsKeys, "jobs", { kind: ROTATE, content, startedAt, updatedAt: startedAt });
};

/** What a row says. @throws {@link CryptoError} `ERR_INTEGRITY` when it says nothing that can be read. */
export const rotationOf = ({ content, startedAt }: JobRow): RotationStatus => {
  const { dataKeys, total } = parse(content);
  if (isIds(dataKeys) && typeof total === "number") return { startedAt, dataKeys, total };
  throw unreadable();
};

const parse = (content: string): Readonly<Record<string, unknown>> => {
  try {
    const value = parseJsonStrict(content, { maxBytes: MAX_CONTENT_BYTES });
    if (typeof value === "object" && value !== null) return { ...value };
  } catch (error) {
    if (!isCryptoError(error)) throw error;
  }
  throw unreadable();
};

const isIds = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((id) => typeof id === "string");

const unreadable = (): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `The row of the job ${ROTATE} cannot be read`, {
    context: { hint: "Compare the database with the log: lango audit verify --rows" },
  });

/** The job that has not ended. @param rowsKeys - Of an open vault, whose rows must pass their MACs. */
export const findRotation = async (
  store: Pick<StoreReads, "jobs">,
  rowsKeys: RowsKeys | undefined,
): Promise<{ readonly row: JobRow; readonly status: RotationStatus } | undefined> => {
  const row = await store.jobs.find(ROTATE);
  if (!row) return undefined;
  if (rowsKeys) checkRow(rowsKeys, "jobs", row);
  return { row, status: rotationOf(row) };
};

export const underWay = ({ startedAt }: Pick<RotationStatus, "startedAt">): CryptoError =>
  new CryptoError(
    "ERR_CONFLICT",
    `A rotation that began at ${new Date(startedAt).toISOString()} has not ended`,
    { context: { hint: "Go on with it: lango security rotate --resume" } },
  );
