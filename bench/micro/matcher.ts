import { type Router, RouterBuilder } from "../../src/routing/router.js";
import type { Context, Finding, Group } from "../group.js";
import { interleave, microRounds } from "./interleave.js";
import { type BenchRoute, publicRoutes } from "./templates.js";

const few = 10;
const many = 13_000;

/** What matching costs when there are many routes. */
export const matcherGroup: Group = {
  name: "matcher",
  method: [
    "In this process: CPU of all its threads, bytes allocated from heap growth. An operation is one match of method and raw path.",
    `The routes are those of Google's public APIs. Subject: a router with up to ${many.toLocaleString("en")}; baseline: one with ${few}.`,
  ],
  async *run({ quick, note }: Context): AsyncIterable<Finding> {
    const all = publicRoutes(many);
    if (all.length < many) note(`there are ${all.length} different routes in google-proto-files`);
    const some = spread(all, few);
    const large = routerOf(all);
    const small = routerOf(some);
    check(large, all);
    check(small, some);
    const name = `${all.length.toLocaleString("en")} routes`;
    for (const [workload, asked] of [
      [`the same ${few} requests`, some],
      ["requests to 1,000 of all routes", spread(all, 1000)],
    ] as const) {
      const comparison = { group: "matcher", workload, subject: name, baseline: `${few} routes` };
      const rows = interleave(comparison, inTurn(large, asked), inTurn(small, some), microRounds(quick));
      yield { workload, rows, remarks: [] };
    }
  },
};

function routerOf(routes: readonly BenchRoute[]): Router<BenchRoute> {
  const builder = new RouterBuilder<BenchRoute>();
  for (const route of routes) builder.add(route.method, route.template, route);
  return builder.build();
}

function inTurn(router: Router<BenchRoute>, asked: readonly BenchRoute[]): () => unknown {
  let next = 0;
  return () => {
    const { method, path } = asked[next] as BenchRoute;
    next = next + 1 === asked.length ? 0 : next + 1;
    return router.match(method, path);
  };
}

/** Every request finds a route: its own, or a more literal one. */
function check(router: Router<BenchRoute>, asked: readonly BenchRoute[]): void {
  for (const { method, path } of asked) {
    const { kind } = router.match(method, path);
    if (kind !== "found") throw new Error(`${method} ${path}: expected a route, found ${kind}`);
  }
}

/** `count` of the routes, evenly over all of them. */
function spread(routes: readonly BenchRoute[], count: number): BenchRoute[] {
  const step = routes.length / count;
  return Array.from({ length: count }, (_, index) => routes[Math.floor(index * step)] as BenchRoute);
}
