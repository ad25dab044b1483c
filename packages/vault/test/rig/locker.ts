// Another process that holds the write lock of a database until its standard input ends.
import { Sqlite } from "../sqlite.ts";

const database = new Sqlite(process.argv[2] ?? "", {});
database.exec("begin immediate");
process.stdout.write("locked\n");
process.stdin.on("end", () => {
  database.close();
  process.stdout.write("free\n");
});
process.stdin.resume();
