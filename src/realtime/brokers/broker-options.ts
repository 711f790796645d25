import type { Logger } from "../../telemetry/logger.js";
import type { HistoryLimits } from "./broker.js";

export interface BrokerOptions {
  /** As `realtime.broker.url`. */
  readonly url: string;
  /** What keys or subjects begin with. */
  readonly prefix: string;
  readonly history: HistoryLimits;
  readonly logger: Logger | undefined;
  /** Milliseconds until a server that says nothing is given up; 5000 where left out. */
  readonly patience?: number | undefined;
}
