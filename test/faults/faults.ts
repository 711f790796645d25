import { brokerFaults } from "./broker-faults.js";
import { clientFaults } from "./client-faults.js";
import { dnsFaults } from "./dns-faults.js";
import type { Fault } from "./fault.js";
import { issuerFaults } from "./issuer-faults.js";
import { processFaults } from "./process-faults.js";
import { upstreamFaults } from "./upstream-faults.js";

export const faults: readonly Fault[] = [
  ...upstreamFaults,
  ...dnsFaults,
  ...brokerFaults,
  ...issuerFaults,
  ...processFaults,
  ...clientFaults,
];
