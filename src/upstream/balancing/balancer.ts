import type { Balancing } from "../options.js";
import type { Endpoint } from "./endpoint.js";

/** Chooses the endpoint of a call. */
export interface Balancer {
  /**
   * The best endpoint that is not in `avoid`; one in `avoid` only where no other is as good. Failing endpoints are
   * chosen only where all fail, unhealthy ones never. Undefined where there is none.
   */
  pick(endpoints: readonly Endpoint[], avoid: readonly Endpoint[]): Endpoint | undefined;
}

export function createBalancer(balancing: Balancing): Balancer {
  switch (balancing) {
    case "round_robin":
      return new RoundRobin();
    case "least_request":
      return new LeastRequest();
    case "pick_first":
      return new PickFirst();
  }
}

/** 0 is best. An idle or connecting endpoint is as good as a ready one: nothing is known against it. */
const Rank = { Usable: 0, Avoided: 1, Failing: 2, FailingAvoided: 3, Excluded: 4 } as const;
type Rank = (typeof Rank)[keyof typeof Rank];

function rank(endpoint: Endpoint, avoid: readonly Endpoint[]): Rank {
  const { state } = endpoint;
  if (state === "unhealthy") return Rank.Excluded;
  const avoided = avoid.length > 0 && avoid.includes(endpoint);
  if (state === "failing") return avoided ? Rank.FailingAvoided : Rank.Failing;
  return avoided ? Rank.Avoided : Rank.Usable;
}

/** In turn. */
class RoundRobin implements Balancer {
  #next = 0;

  pick(endpoints: readonly Endpoint[], avoid: readonly Endpoint[]): Endpoint | undefined {
    const { length } = endpoints;
    let best: Rank = Rank.Excluded;
    let chosen = -1;
    for (let step = 0; step < length && best !== Rank.Usable; step++) {
      const index = (this.#next + step) % length;
      const found = rank(endpoints[index]!, avoid);
      if (found >= best) continue;
      best = found;
      chosen = index;
    }
    if (chosen < 0) return undefined;
    this.#next = (chosen + 1) % length;
    return endpoints[chosen];
  }
}

/**
 * Of two endpoints taken at random, the one with fewer calls under way: nearly as even as comparing all of them, and
 * without the herd that follows when many gateways see the same one as the least loaded.
 */
class LeastRequest implements Balancer {
  pick(endpoints: readonly Endpoint[], avoid: readonly Endpoint[]): Endpoint | undefined {
    let best: Rank = Rank.Excluded;
    let first: Endpoint | undefined;
    let second: Endpoint | undefined;
    let seen = 0;
    for (const endpoint of endpoints) {
      const found = rank(endpoint, avoid);
      if (found > best || found === Rank.Excluded) continue;
      if (found < best) {
        best = found;
        first = second = undefined;
        seen = 0;
      }
      // Reservoir sampling: a uniform pair in one pass and without a list.
      const slot = seen < 2 ? seen : Math.floor(Math.random() * (seen + 1));
      if (slot === 0) first = endpoint;
      else if (slot === 1) second = endpoint;
      seen++;
    }
    if (first === undefined || second === undefined) return first;
    if (first.pending === second.pending) return Math.random() < 0.5 ? first : second;
    return first.pending < second.pending ? first : second;
  }
}

/** The first in order that is usable, for as long as it is. */
class PickFirst implements Balancer {
  #current: Endpoint | undefined;

  pick(endpoints: readonly Endpoint[], avoid: readonly Endpoint[]): Endpoint | undefined {
    const current = this.#current;
    if (current !== undefined && endpoints.includes(current) && rank(current, avoid) === Rank.Usable) {
      return current;
    }
    let best: Rank = Rank.Excluded;
    let chosen: Endpoint | undefined;
    for (const endpoint of endpoints) {
      const found = rank(endpoint, avoid);
      if (found >= best) continue;
      best = found;
      chosen = endpoint;
    }
    // A call that looks for another endpoint does not move all later calls there.
    if (avoid.length === 0) this.#current = chosen;
    return chosen;
  }
}
