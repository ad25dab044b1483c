/** The columns of a secret, as rows of it have them. */
export const SECRET = [
  "secrets.id",
  "secrets.collection",
  "secrets.name",
  "secrets.key_id as keyId",
  "secrets.current_version as currentVersion",
  "secrets.created_at as createdAt",
  "secrets.updated_at as updatedAt",
  "secrets.deleted_at as deletedAt",
  "secrets.mac",
  "secrets.uses",
  "secrets.last_used_at as lastUsedAt",
] as const;
