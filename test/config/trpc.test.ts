import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "./workspace.js";

function problems(upstream: string, more = ""): string[] {
  const yaml = `listeners: { http: { address: ":0" } }\nupstreams:\n  shop: { targets: [a:1], ${upstream} }\n${more}`;
  return new Workspace().problems(yaml).map(line => line.replace(/^gateway\.yaml:\d+:\d+: /, ""));
}

test("an upstream with protocol trpc takes what tRPC has, and nothing of gRPC alone", () => {
  assert.deepEqual(problems("protocol: trpc, trpc: { caller: a.b, callee: c.d, one_way: [p.S/M] }"), []);
  assert.deepEqual(problems('protocol: trpc, health: { service: "" }, transport: grpc-js'), [
    "error: tRPC has no health protocol; leave health out (at upstreams.shop.health)",
    "error: grpc-js speaks gRPC only; leave transport out (at upstreams.shop.transport)",
  ]);
  assert.deepEqual(problems("protocol: trpc, trpc: { one_way: [nope] }"), [
    'error: expected a method such as shop.v1.Items/Get, found "nope" (at upstreams.shop.trpc.one_way[0])',
  ]);
  assert.deepEqual(problems("trpc: { caller: x }"), [
    "error: only an upstream with protocol trpc has this section (at upstreams.shop.trpc)",
  ]);
});

test("a tRPC upstream with descriptors by reflection is an error", () => {
  assert.deepEqual(problems("protocol: trpc", "descriptors: [{ reflection: shop }]\n"), [
    "error: an upstream with protocol trpc has no reflection; use protos or set (at descriptors[0].reflection)",
  ]);
});

test("status_codes takes any code of 32 bits for services of tRPC upstreams, and those above 16 for others", () => {
  const services = (codes: string) =>
    `services: [{ service: p.S, upstream: shop, status_codes: { ${codes} } }]\n`;
  assert.deepEqual(
    problems("protocol: trpc", services('1: 400, "-5": 404, 10-20: 409')).filter(line =>
      line.includes("status_codes"),
    ),
    [],
  );
  assert.match(problems("protocol: grpc", services("1: 400")).join("\n"), /"1" has codes that gRPC defines/);
  assert.match(
    problems("protocol: trpc", services('"-3000000000": 400')).join("\n"),
    /expected codes from -2147483648/,
  );
});

test("headers of tRPC's framework are not passed on from callers", () => {
  const services = "services: [{ service: p.S, upstream: shop, metadata: { request: [trpc-dyeing-key] } }]\n";
  assert.match(problems("protocol: trpc", services).join("\n"), /"trpc-dyeing-key" cannot be passed on/);
});
