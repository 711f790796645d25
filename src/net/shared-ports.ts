/** How a worker listens on ports that other workers listen on too, where its engine does not have Node.js do it. */
export interface SharedPorts {
  /** Whether no other worker listens yet. */
  readonly first: boolean;
  /** The ports chosen for listeners with port 0, in the order in which these start: the same in all workers. */
  readonly chosen: number[];
  /** How many of them are in use in this process. */
  used: number;
}

let shared: SharedPorts | undefined;

/** From now on listeners of this process share their ports. */
export function sharePorts(first: boolean, chosen: readonly number[]): SharedPorts {
  shared = { first, chosen: [...chosen], used: 0 };
  return shared;
}

/** Undefined where this process is the only one. */
export function sharedPorts(): SharedPorts | undefined {
  return shared;
}
