// Runs the conformance suite of Connect against gateways in front of its reference gRPC server. Arguments go to the suite:
// npm run conformance:connect -- --run "**/unary/**"
// The first argument `uws` names the engine, which speaks HTTP/1.1 alone: the cases are those of Connect and gRPC-Web.
import { obtainConnectSuite, runConnectSuite } from "./runner.js";

const suite = obtainConnectSuite();
if (typeof suite === "string") {
  process.stdout.write(`skipped: ${suite}\n`);
} else {
  const [first, ...others] = process.argv.slice(2);
  const [engine, more] =
    first === "uws" ? (["uws", others] as const) : (["fastify", process.argv.slice(2)] as const);
  const { passed, output } = await runConnectSuite(suite, engine, more);
  process.stdout.write(output);
  process.exitCode = passed ? 0 : 1;
}
