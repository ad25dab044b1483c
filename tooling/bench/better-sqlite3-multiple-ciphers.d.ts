// The package has types and hides them behind its `exports`.
declare module "better-sqlite3-multiple-ciphers" {
  interface Statement {
    run(...values: unknown[]): unknown;
    get(...values: unknown[]): unknown;
    all(...values: unknown[]): unknown[];
  }
  export default class Database {
    constructor(file: string);
    prepare(sql: string): Statement;
    exec(sql: string): unknown;
    transaction(work: () => void): () => void;
    close(): unknown;
  }
}
