// A file of the program that holds the driver of PostgreSQL; see tsup.config.ts.
import pg from "pg";

export default pg;
