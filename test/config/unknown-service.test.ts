import assert from "node:assert/strict";
import { test } from "node:test";
import { unknownService } from "../../src/bindings/exposed-services.js";

const six = ["a.One", "a.Two", "a.Three", "a.Four", "a.Five", "google.longrunning.Operations", "a.Six"];

test("the error for an unknown service lists at most five services if none is similar", () => {
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

test("the error for an unknown service suggests the nearest one alone", () => {
  assert.deepEqual(unknownService("a.Oen", six, true), {
    message: 'the descriptors have no service "a.Oen"',
    suggestion: "a.One",
  });
});

test("the error for a service says so where no descriptors are declared", () => {
  const said = 'there is no service "a.One"; no descriptors are declared';
  assert.deepEqual(unknownService("a.One", [], false), { message: said });
});
