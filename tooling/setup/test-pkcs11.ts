// `pnpm test:pkcs11`: the tests of the PKCS#11 provider on SoftHSM, and nothing else.
import { findService, serviceNamed, serviceVariable } from "../services/find.ts";
import { toolProgram } from "./build.mjs";
import { runVisibly } from "./step.mjs";

/** BSD's EX_UNAVAILABLE: something that is needed is not installed. */
const UNAVAILABLE = 69;

const missing = ["softhsm2", "pkcs11js"].map(serviceNamed).find((service) => {
  return !(process.env[serviceVariable(service.name)] ?? findService(service));
});
if (missing === undefined) {
  process.exitCode = await runVisibly(
    process.execPath,
    [
      toolProgram("vitest"),
      "run",
      ...["--config", "vitest.workspace.ts", "--project", "crypto-pkcs11", "test/softhsm/"],
      ...process.argv.slice(2),
    ],
    { ...process.env, LANGO_TEST_REQUIRE: "all" },
  );
} else {
  process.stderr.write(`lango: ${missing.name} is missing, which the tests of PKCS#11 need\n`);
  process.stderr.write(
    missing.name === "softhsm2"
      ? "       On Debian and Ubuntu: sudo apt-get install softhsm2\n"
      : `       ${missing.advice}\n`,
  );
  process.exitCode = UNAVAILABLE;
}
