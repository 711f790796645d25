import assert from "node:assert/strict";
import { test } from "node:test";
import { TokenCache, tokenHash } from "../../src/auth/providers/token-provider.js";

test("entries are there until their time is over", () => {
  const cache = new TokenCache<string>(10);
  cache.set("a", "x", 100);
  assert.equal(cache.get("a", 99), "x");
  assert.equal(cache.get("a", 100), undefined);
  assert.equal(cache.size, 0);
});

test("the cache never grows beyond its size, whatever is put in", () => {
  const cache = new TokenCache<number>(100);
  for (let index = 0; index < 10_000; index++) {
    cache.set(`k${index % 700}`, index, Number.POSITIVE_INFINITY);
    cache.get(`k${(index * 7) % 700}`, 0);
    assert.ok(cache.size <= 100);
  }
});

test("the token cache keeps entries that are read repeatedly while others come and go", () => {
  const cache = new TokenCache<string>(100);
  cache.set("hot", "x", 1);
  for (let index = 0; index < 10_000; index++) {
    cache.set(`cold ${index}`, "y", 1);
    if (index % 20 === 0) assert.equal(cache.get("hot", 0), "x");
  }
  assert.equal(cache.get("cold 0", 0), undefined);
});

test("the newer value of a key counts", () => {
  const cache = new TokenCache<number>(2);
  for (let value = 0; value < 10; value++) {
    cache.set("a", value, 1);
    cache.set("b", value, 1);
    assert.equal(cache.get("a", 0) ?? value, value);
    assert.equal(cache.get("b", 0), value);
  }
  cache.clear();
  assert.equal(cache.size, 0);
});

test("the hash is SHA-256", () => {
  assert.equal(tokenHash("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
});
