import type { Children } from "./process/children.js";
import type { Cpus } from "./process/cpus.js";
import type { Row } from "./row.js";

export interface Context {
  readonly quick: boolean;
  /** The root of another checkout, built, to compare with in place of rivals. */
  readonly base: string | undefined;
  readonly cpus: Cpus;
  /** Whatever a group starts is started here, so that nothing outlives the bench. */
  readonly children: Children;
  /** Tells people what is going on, in a line. */
  note(line: string): void;
}

/** What a group found out about one workload. */
export interface Finding {
  readonly workload: string;
  readonly rows: readonly Row[];
  /** Lines for people below the table, such as who had CPU to spare. */
  readonly remarks: readonly string[];
}

/** A set of workloads that are measured in the same way. */
export interface Group {
  readonly name: string;
  /** True where it runs only when it is named. */
  readonly onRequest?: true;
  /** How it is measured: printed above the tables. */
  readonly method: readonly string[];
  run(context: Context): AsyncIterable<Finding>;
}
