#!/usr/bin/env node
import { run } from "./cli/run.js";
import { holdYoungGeneration } from "./net/young-generation.js";

holdYoungGeneration();
process.exitCode = await run(process.argv.slice(2));
