import type { TransportKind } from "../../src/upstream/options.js";

/** What the suites open their channels with. A file that runs one of them on another transport sets it beforehand. */
export const underTest: { transport: TransportKind } = { transport: "lean" };
