import { obtainRunner, runSuite } from "./runner.js";

const { passed, output } = runSuite(obtainRunner());
process.stdout.write(output);
process.exitCode = passed ? 0 : 1;
