// In a file of the program of its own: the checks and their vectors are large, and one command needs them.
export { runChecks } from "@lango/crypto-conformance";
