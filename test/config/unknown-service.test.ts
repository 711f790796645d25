import assert from "node:assert/strict";
import { test } from "node:test";
import { unknownService } from "../../src/bindings/exposed-services.js";

const six = ["a.One", "a.Two", "a.Three", "a.Four", "a.Five", "google.longrunning.Operations", "a.Six"];

test("a service that is like none is told with at most five of those that are", () => {
  const { message, suggestion } = unknownService("shop.v1.Orders", six, true);
  assert.equal(
    message,
    'the descriptors have no service "shop.v1.Orders"; they have a.One, a.Two, a.Three, a.Four, a.Five and 1 more',
  );
  assert.equal(suggestion, undefined);
  const two = unknownService("shop.v1.Orders", six.slice(0, 2), true);
  assert.equal(two.message, 'the descriptors have no service "shop.v1.Orders"; they have a.One, a.Two');
  const none = unknownService("shop.v1.Orders", [], true);
  assert.equal(none.message, 'the descriptors have no service "shop.v1.Orders"; they have none');
});

test("a service that is like another is told with that alone", () => {
  assert.deepEqual(unknownService("a.Oen", six, true), {
    message: 'the descriptors have no service "a.Oen"',
    suggestion: "a.One",
  });
});

test("a service without descriptors is told so", () => {
  const said = 'there is no service "a.One"; no descriptors are declared';
  assert.deepEqual(unknownService("a.One", [], false), { message: said });
});
