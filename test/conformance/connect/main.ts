// Runs the conformance suite of Connect against gateways in front of its reference gRPC server. Arguments go to the suite:
// npm run conformance:connect -- --run "**/unary/**"
import { obtainConnectSuite, runConnectSuite } from "./runner.js";

const suite = obtainConnectSuite();
if (typeof suite === "string") {
  process.stdout.write(`skipped: ${suite}\n`);
} else {
  const { passed, output } = await runConnectSuite(suite, process.argv.slice(2));
  process.stdout.write(output);
  process.exitCode = passed ? 0 : 1;
}
